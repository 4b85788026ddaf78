# Which columns are inputs.

test_that("the inputs are the variables, not the terms, and not what the formula takes from around it", {
  k <- 0.5
  knots <- c(60, 70)
  d <- people()
  fit <- lm(log(pressure) ~ log(age) + I(weight^2 * k) + pmax(weight, knots[1]) + (age > 10 * pi), d)
  expect_named(saved(fit, d)$rows, c("age", "weight"))
  expect_named(saved(fit, cbind(k = 9, d))$rows, c("age", "weight"))
  expect_equal(saved(fit, cbind(k = 9, d))$predictions$prediction[1:40], as.vector(fitted(fit)))
})

test_that("`.`, interactions and offsets count", {
  d <- people()[c("pressure", "age", "town", "weight")]
  expect_named(saved(lm(pressure ~ ., d), d)$rows, c("age", "town", "weight"))
  expect_named(saved(glm(round(pressure) ~ age:town + offset(log(weight)), poisson, d), d)$rows, c("age", "town", "weight"))
  expect_named(saved(glm(round(pressure) ~ age, poisson, d, offset = log(weight)), d)$rows, c("age", "weight"))
})

test_that("missing variables are named, also when something else around bears their name", {
  fit <- lm(pressure ~ age + weight + town, people())
  expect_error(saved(fit, people()[c("pressure", "age")]), "`rows` lacks variables of the model: 'weight', 'town'")
  weight <- 3
  expect_error(saved(lm(pressure ~ age + weight, people()), people()["age"]), "'weight'")
  age <- people()$age
  pressure <- people()$pressure
  vectors <- lm(pressure ~ age)
  expect_error(saved(vectors, data.frame(weight = 1)), "'age'")
  expect_named(saved(vectors, people())$rows, "age")
})

test_that("what only the global environment has is refused, as the file does not hold it", {
  d <- people()
  on.exit(rm(list = c("limit_of_test", "own_of_test"), envir = globalenv()))
  assign("limit_of_test", 60, globalenv())
  assign("own_of_test", function(x) x / 2, globalenv())
  formula <- function(text) stats::as.formula(text, env = globalenv())
  expect_error(saved(lm(formula("pressure ~ I(age > limit_of_test)"), d), d), "'limit_of_test' from the global environment")
  expect_error(saved(lm(formula("pressure ~ own_of_test(age)"), d), d), "calls own_of_test\\(\\), a function of the global")
  # The knots are in the model itself, and a column goes before a variable of its name.
  expect_named(saved(lm(formula("pressure ~ splines::ns(age, knots = limit_of_test / 2)"), d), d)$rows, "age")
  assign("age", 3, globalenv())
  expect_named(saved(lm(formula("pressure ~ log(age)"), d), d)$rows, "age")
  rm("age", envir = globalenv())
})

test_that("the contrasts that C() names are no inputs", {
  expect_named(saved(lm(pressure ~ C(town, sum) + C(stage, contr.helmert, 1), people()), people())$rows, c("town", "stage"))
})

test_that("models that name no columns are refused", {
  d <- people()
  expect_error(saved(lm(d$pressure ~ d$age), d), "data = d")
  expect_error(saved(lm(pressure ~ 1, d), d), "no inputs")
})

test_that("columns that cannot be sent are refused by name; unused ones do no harm", {
  d <- people()
  d$seen <- as.Date("2020-01-01") + d$age
  expect_error(saved(lm(pressure ~ seen, d), d), "column 'seen' is an object of class 'Date'")
  expect_named(saved(lm(pressure ~ age, d), d)$rows, "age")
  d$pair <- cbind(d$age, d$weight)
  expect_error(saved(lm(pressure ~ pair, d), d), "column 'pair' is an object of class 'matrix'")
  expect_error(saved(lm(pressure ~ age, d), as.matrix(d[1:2])), "expected a data frame")
  expect_error(saved(lm(pressure ~ age, d), d[0, ]), "at least one row")
})

test_that("a row that R cannot predict is named", {
  d <- people()
  fit <- lm(pressure ~ town, d)
  levels(d$town) <- c(levels(d$town), "Chur")
  expect_named(saved(fit, d)$rows, "town")
  d$town[c(3, 8)] <- "Chur"
  expect_error(saved(fit, d), "cannot predict `rows`, row 3, 8: .*Chur")
})

test_that("wrong arguments get one sentence", {
  fit <- lm(pressure ~ age, people())
  try_saving <- function(..., path = unwritten()) save_model(fit, people(), ..., path = path)
  expect_error(try_saving(path = "model.RData"), "ending in .rds")
  expect_error(try_saving(path = "no/such/folder/x.rds"), "no folder no/such/folder")
  expect_error(try_saving(preprocess = "scale"), "expected a function")
  expect_error(try_saving(name = "Blood Pressure"), "got \"Blood Pressure\"")
  expect_error(try_saving(type = "class"), 'answers "number" or "se" or "confidence" or "prediction", got "class"')
  expect_error(try_saving(metrics = c(0.8)), "name each")
  expect_error(try_saving(metrics = list(auc = NA_real_)), "one finite number for 'auc'")
  expect_error(try_saving(units = c(height = "cm")), "no such input: 'height'; the inputs are 'age'")
})

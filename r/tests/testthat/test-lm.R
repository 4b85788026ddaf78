test_that("classes that only inherit from a known one, and others, are refused by name", {
  d <- people()
  expect_error(saved(ppr(pressure ~ age + weight, data = d, nterms = 1), d), "class 'ppr.form' cannot be saved; the supported classes are .*'glm'.*'lm'.*'randomForest'")
  expect_error(saved(aov(pressure ~ age + Error(town), d), d), "'aovlist'")
  expect_error(saved(structure(lm(pressure ~ age, d), class = c("own", "lm")), d), "class 'own' cannot be saved")
})

test_that("a rank-deficient model is saved with R's warning", {
  d <- transform(people(), twice = 2 * age)
  fit <- lm(pressure ~ age + twice, d)
  expect_warning(bundle <- saved(fit, d), "rank")
  expect_equal(bundle$predictions$prediction[1:40], as.vector(fitted(fit)))
})

test_that("a model fitted in a function, with arguments not given, and one stripped of its environment are saved", {
  fit_it <- function(d, weight) lm(pressure ~ age + weight, d)
  fit <- fit_it(people())
  expect_named(saved(fit, people())$rows, c("age", "weight"))
  expect_error(saved(fit, people()["age"]), "'weight'")
  attr(fit$terms, ".Environment") <- NULL
  expect_named(saved(fit, people())$rows, c("age", "weight"))
})

test_that("a model without its frame is saved too", {
  fit <- lm(pressure ~ age + town, people(), model = FALSE, qr = TRUE)
  expect_setequal(as.character(probes_of(saved(fit, people()))$town), c("Zug", "Bern", "Genf", NA))
})

test_that("standard errors and intervals are R's", {
  d <- people()
  fit <- lm(pressure ~ age + town, d, weights = weight)
  se <- saved(fit, d, type = "se")$predictions
  expect_equal(se$se[1:40], as.vector(predict(fit, d, se.fit = TRUE)$se.fit))
  expect_warning(bundle <- saved(fit, d, type = "prediction", arguments = list(level = 0.9)), "constant prediction variance")
  expect_identical(bundle$arguments, list(level = 0.9))
  expected <- suppressWarnings(predict(fit, d, interval = "prediction", level = 0.9))
  expect_equal(unname(as.matrix(bundle$predictions[1:40, ])), unname(expected))
  expect_named(bundle$predictions, c("prediction", "lower", "upper"))
  expect_error(saved(fit, d, type = "confidence", arguments = list(level = 95)), "between 0 and 1 for 'level', got 95")
  expect_error(saved(fit, d, type = "se", arguments = list(level = 0.9)), "'level' cannot be given with type = \"se\"")
})

test_that("a model with several responses answers a column for each", {
  d <- people()
  fit <- lm(cbind(pressure, log(weight)) ~ age, d)
  bundle <- saved(fit, d)
  expect_named(bundle$predictions, c("pressure", "Y2"))
  expect_equal(unname(as.matrix(bundle$predictions[1:40, ])), unname(fitted(fit)))
  expect_error(saved(lm(cbind(pressure, weight) ~ age + offset(age), d), d), "only some of the offsets")
})

test_that("classes that only inherit from a known one, and others, are refused by name", {
  d <- people()
  expect_error(saved(loess(pressure ~ age, d), d), "class 'loess' cannot be saved; the supported classes are .*'glm'.*'lm'.*'randomForest'")
  expect_error(saved(lm(cbind(pressure, age) ~ weight, d), d), "'mlm'")
  skip_if_not_installed("MASS")
  expect_error(saved(MASS::rlm(pressure ~ age, d), d), "'rlm'")
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

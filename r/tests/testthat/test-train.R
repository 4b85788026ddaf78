skip_if_not_installed("caret")

fitted_by_caret <- function(...) caret::train(..., trControl = caret::trainControl("none"))

test_that("a regression by a formula leaves out the rows that caret drops", {
  bundle <- saved(fitted_by_caret(pressure ~ age + weight + town, people(), method = "lm"), people())
  expect_identical(bundle$type, "number")
  expect_named(bundle$rows, c("age", "weight", "town"))
  expect_false(anyNA(bundle$rows))
})

test_that("where preProcess imputes, missing values are answered", {
  d <- people()
  d$age[3] <- NA
  fit <- fitted_by_caret(d[c("age", "weight")], d$pressure, method = "lm", preProcess = "medianImpute")
  bundle <- saved(fit, d)
  expect_true(anyNA(bundle$rows))
  expect_false(anyNA(bundle$predictions))
})

test_that("a classification answers the class and probabilities", {
  d <- transform(people(), sick = factor(age + weight > 110, labels = c("no", "yes")))
  fit <- fitted_by_caret(sick ~ age + pressure, d, method = "glm")
  bundle <- saved(fit, d)
  expect_identical(bundle$labels, c("no", "yes"))
  expect_named(bundle$predictions, c("class", "no", "yes"))
  expect_identical(saved(fit, d, type = "probability")$labels, "yes")
})

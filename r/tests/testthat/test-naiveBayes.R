skip_if_not_installed("e1071")

test_that("a naiveBayes answers classes, also where values are missing", {
  fit <- e1071::naiveBayes(town ~ age + job + smoker, people(), laplace = 1)
  bundle <- saved(fit, people(), arguments = list(threshold = 0.01))
  expect_true(anyNA(bundle$rows))
  expect_false(anyNA(bundle$predictions))
  raw <- predict(fit, people(), type = "raw", threshold = 0.01)
  expect_equal(as.matrix(bundle$predictions[1:40, -1]), raw, ignore_attr = TRUE)
})

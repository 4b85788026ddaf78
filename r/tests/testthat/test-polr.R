skip_if_not_installed("MASS")

test_that("a polr answers its classes in their order", {
  fit <- MASS::polr(stage ~ weight + smoker, people())
  bundle <- saved(fit, people())
  expect_named(bundle$predictions, c("class", "low", "mid", "high"))
  expect_equal(as.matrix(bundle$predictions[1:40, -1]), predict(fit, people(), type = "probs"), ignore_attr = TRUE)
})

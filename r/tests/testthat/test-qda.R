skip_if_not_installed("MASS")

test_that("a qda fitted to a matrix takes its columns by name", {
  d <- people()
  fit <- MASS::qda(as.matrix(d[c("weight", "age")]), d$town)
  bundle <- saved(fit, d)
  expect_named(bundle$rows, c("age", "weight"))
  found <- predict(fit, as.matrix(d[c("weight", "age")]))
  expect_equal(as.matrix(bundle$predictions[1:40, -1]), found$posterior, ignore_attr = TRUE)
  expect_error(saved(fit, d, arguments = list(dimen = 1)), "is not given 'dimen'")
})

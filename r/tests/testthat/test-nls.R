test_that("an nls takes the columns of its formula, not its parameters", {
  fit <- nls(pressure ~ a + b * weight, people(), start = list(a = 1, b = 1))
  bundle <- saved(fit, transform(people(), a = 3))
  expect_named(bundle$rows, "weight")
  expect_equal(bundle$predictions$prediction[1:40], as.vector(fitted(fit)))
})

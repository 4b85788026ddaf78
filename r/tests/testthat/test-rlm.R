skip_if_not_installed("MASS")

test_that("an rlm answers a number and no error of it", {
  fit <- MASS::rlm(pressure ~ age + town, people())
  expect_identical(saved(fit, people())$predictions$prediction[1:40], as.vector(predict(fit, people())))
  expect_error(saved(fit, people(), type = "se"), 'answers "number", got "se"')
})

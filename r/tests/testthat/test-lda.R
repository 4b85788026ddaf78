skip_if_not_installed("MASS")

test_that("an lda answers class and posterior, by the arguments of predict()", {
  fit <- MASS::lda(town ~ age + weight, people())
  prior <- c(0.2, 0.2, 0.6)
  bundle <- saved(fit, people(), arguments = list(prior = prior, dimen = 1))
  found <- predict(fit, people(), prior = prior, dimen = 1)
  expect_equal(as.matrix(bundle$predictions[1:40, -1]), found$posterior, ignore_attr = TRUE)
  expect_identical(bundle$predictions$class[1:40], as.character(found$class))
  expect_error(saved(fit, people(), arguments = list(prior = 1)), "incorrect length|invalid 'prior'")
  expect_error(saved(MASS::lda(town ~ age + weight, people(), CV = TRUE), people()), "class 'list' cannot be saved")
})

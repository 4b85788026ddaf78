skip_if_not_installed("nnet")

test_that("of two classes both probabilities are answered", {
  d <- transform(people(), sick = factor(pressure > 125, labels = c("no", "yes")))
  fit <- nnet::multinom(sick ~ age + town, d, trace = FALSE)
  bundle <- saved(fit, d)
  expect_named(bundle$predictions, c("class", "no", "yes"))
  expect_equal(bundle$predictions$yes[1:40], as.vector(predict(fit, d, type = "probs")))
  expect_identical(saved(fit, d, type = "probability")$labels, "yes")
})

test_that("one row is predicted as well as many", {
  fit <- nnet::multinom(town ~ age + weight, people(), trace = FALSE)
  one <- saved(fit, people()[3, ])$predictions[1, -1]
  expect_equal(unlist(one), predict(fit, people()[3, ], type = "probs"))
})

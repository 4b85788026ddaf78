skip_if_not_installed("glmnet")

x <- as.matrix(iris[1:4])

test_that("a path of lambdas needs to be told which one", {
  fit <- glmnet::glmnet(x[, -1], x[, 1])
  expect_error(saved(fit, iris), "arguments = list\\(s = 0.01\\)")
  bundle <- saved(fit, iris, arguments = list(s = 0.1))
  expect_equal(bundle$predictions$prediction[1:150], as.vector(predict(fit, x[, -1], s = 0.1)))
  expect_identical(bundle$arguments, list(s = 0.1))
  expect_error(saved(fit, iris, arguments = list(exact = TRUE)), "is not given 'exact'; it takes 's'")
})

test_that("a cv.glmnet predicts at the lambda that it has chosen", {
  set.seed(1)
  fit <- glmnet::cv.glmnet(x, iris$Species, family = "multinomial", nlambda = 10, nfolds = 3)
  bundle <- saved(fit, iris[seq(1, 150, 10), ])
  expect_named(bundle$predictions, c("class", levels(iris$Species)))
  shares <- predict(fit, x[seq(1, 150, 10), ], type = "response")
  expect_equal(as.matrix(bundle$predictions[1:15, -1]), shares[, , 1], ignore_attr = TRUE)
})

test_that("a fit with an offset and rows without numbers are refused", {
  fit <- glmnet::glmnet(x[, -1], x[, 1], lambda = 0.1)
  expect_error(saved(glmnet::glmnet(x[, -1], x[, 1], offset = x[, 2]), iris), "newoffset")
  expect_error(saved(fit, transform(iris, Petal.Width = factor(Petal.Width))), "these are none: 'Petal.Width'")
})

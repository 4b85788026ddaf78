skip_if_not_installed("gbm")

boosted <- function(formula, data, distribution, ...) {
  gbm::gbm(formula, distribution, data, n.trees = 12, n.minobsinnode = 3, ...)
}

test_that("the response is the default, the link on request", {
  d <- transform(people(), sick = as.integer(age + weight > 110))
  fit <- boosted(sick ~ age + weight + town, d, "bernoulli")
  bundle <- saved(fit, d)
  expect_identical(bundle$type, "probability")
  expect_identical(bundle$predictions$prediction[1:40], predict(fit, d, n.trees = 12, type = "response"))
  expect_true(anyNA(bundle$rows$town))
  link <- saved(fit, d, type = "link")
  expect_identical(link$predictions$link[1:40], predict(fit, d, n.trees = 12))
})

test_that("predict()'s own number of trees is taken where none is given", {
  fit <- boosted(pressure ~ age + weight, people(), "gaussian", train.fraction = 0.7)
  best <- which.min(fit$valid.error)
  expect_identical(saved(fit, people())$predictions$prediction[1:40], predict(fit, people(), n.trees = best))
  few <- saved(fit, people(), arguments = list(n.trees = 3))
  expect_identical(few$predictions$prediction[1:40], predict(fit, people(), n.trees = 3))
  expect_error(saved(fit, people(), arguments = list(n.trees = 1:3)), "expected one number from 1 to 12")
})

test_that("without a formula the rows' columns may be in any order; an offset is no input", {
  d <- people()
  fit <- gbm::gbm.fit(d[c("age", "town")], d$pressure, distribution = "gaussian", n.trees = 5, n.minobsinnode = 3, verbose = FALSE)
  bundle <- saved(fit, d[c("town", "weight", "age")])
  expect_named(bundle$rows, c("town", "age"))
  expect_identical(bundle$predictions$prediction[1:40], predict(fit, d[c("age", "town")], n.trees = 5))
  with_offset <- boosted(pressure ~ age + offset(weight), d, "gaussian")
  expect_named(saved(with_offset, d)$rows, "age")
})

test_that("several classes are answered with their probabilities; a text is refused", {
  d <- people()
  fit <- suppressWarnings(boosted(town ~ age + weight, d, "multinomial"))
  bundle <- saved(fit, d)
  expect_named(bundle$predictions, c("class", "Zug", "Bern", "Genf"))
  shares <- predict(fit, d, n.trees = 12, type = "response")[, , 1]
  expect_equal(as.matrix(bundle$predictions[1:40, -1]), shares, ignore_attr = TRUE)
  fit <- boosted(pressure ~ town, d, "gaussian")
  expect_error(saved(fit, transform(d, town = as.character(town))), "'town' is a text")
})

skip_if_not_installed("nnet")

test_that("a network for a factor answers classes, one for numbers a number", {
  set.seed(4)
  fit <- nnet::nnet(town ~ age + weight, people(), size = 2, trace = FALSE)
  bundle <- saved(fit, people())
  expect_named(bundle$predictions, c("class", "Zug", "Bern", "Genf"))
  expect_identical(is.na(bundle$predictions$Zug), !complete.cases(bundle$rows))
  number <- nnet::nnet(pressure ~ age, people(), size = 1, linout = TRUE, trace = FALSE)
  expect_identical(saved(number, people())$type, "number")
})

test_that("a network without names of its predictors takes exactly its columns", {
  set.seed(4)
  d <- people()
  fit <- nnet::nnet(d[c("age", "weight")], d$pressure, size = 1, linout = TRUE, trace = FALSE)
  expect_error(saved(fit, d), "does not hold the names of its 2 predictors")
  bundle <- saved(fit, d[c("age", "weight")])
  expect_identical(bundle$predictions$prediction[1:40], as.vector(predict(fit, d[c("age", "weight")])))
})

skip_if_not_installed("rpart")

test_that("a regression tree answers a number, also where everything is missing", {
  fit <- rpart::rpart(pressure ~ age + weight + town, people(), minsplit = 5)
  bundle <- saved(fit, people())
  expect_identical(bundle$type, "number")
  expect_identical(bundle$predictions$prediction[1:40], unname(predict(fit, people())))
  expect_true(anyNA(bundle$rows$weight))
  expect_false(anyNA(bundle$predictions$prediction))
  expect_true("rpart" %in% names(bundle$session$packages))
})

test_that("a classification tree answers the class and each level's probability", {
  fit <- rpart::rpart(town ~ age + weight + stage + job, people(), minsplit = 5)
  bundle <- saved(fit, people())
  expect_named(bundle$predictions, c("class", "Zug", "Bern", "Genf"))
  expect_identical(bundle$predictions$class[1:40], as.character(predict(fit, people(), type = "class")))
  expect_equal(as.matrix(bundle$predictions[1:40, -1]), predict(fit, people(), type = "prob"), ignore_attr = TRUE)
  expect_error(saved(fit, people(), type = "probability"), 'answers "class", got "probability"')
})

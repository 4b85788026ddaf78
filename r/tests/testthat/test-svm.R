skip_if_not_installed("e1071")

test_that("an svm answers the class that predict() answers, and probabilities where it has them", {
  fit <- e1071::svm(town ~ age + weight, people())
  bundle <- saved(fit, people())
  expect_named(bundle$predictions, "class")
  expect_identical(bundle$predictions$class[1:40], as.character(predict(fit, people())))
  likely <- e1071::svm(town ~ age + weight, people(), probability = TRUE)
  expect_named(saved(likely, people())$predictions, c("class", "Zug", "Bern", "Genf"))
  expect_error(saved(fit, people(), type = "probability"), 'answers "class", got "probability"')
})

test_that("factors with other levels are refused, those in another order put right", {
  fit <- e1071::svm(pressure ~ age + town, people())
  other <- transform(people(), town = factor(as.character(town)))
  expect_identical(saved(fit, people())$predictions$prediction[1:40], as.vector(predict(fit, people())))
  expect_error(canari:::check_coding(fit, other), "other levels than those that the svm was fitted to")
})

test_that("rows that lack a value are refused, as predict() leaves them out", {
  fit <- e1071::svm(pressure ~ age + weight, people())
  d <- people()
  d$age[5] <- NA
  expect_error(saved(fit, d), "row 5")
  expect_false(anyNA(saved(fit, people())$rows))
})

skip_if_not_installed("randomForest")

forest <- function(...) {
  set.seed(3)
  randomForest::randomForest(..., ntree = 15)
}

test_that("a regression forest answers a number and its missing inputs a missing one", {
  fit <- forest(pressure ~ age + weight + town, people())
  bundle <- saved(fit, people())
  expect_identical(bundle$type, "number")
  expect_identical(bundle$predictions$prediction[1:40], as.vector(predict(fit, people())))
  expect_identical(is.na(bundle$predictions$prediction), !complete.cases(bundle$rows))
  expect_true("randomForest" %in% names(bundle$session$packages))
})

test_that("a classification forest answers the class and each level's probability", {
  fit <- forest(town ~ age + weight + stage, people())
  bundle <- saved(fit, people())
  expect_identical(bundle$type, "class")
  expect_identical(bundle$labels, c("Zug", "Bern", "Genf"))
  expect_named(bundle$predictions, c("class", "Zug", "Bern", "Genf"))
  shares <- predict(fit, people(), type = "prob")
  expect_equal(as.matrix(bundle$predictions[1:40, -1]), unclass(shares), ignore_attr = TRUE)
  clear <- apply(shares, 1, max) > 0.5
  expect_identical(bundle$predictions$class[1:40][clear], as.character(predict(fit, people()))[clear])
})

test_that("a two-level forest can stand in for a binomial glm", {
  d <- transform(people(), sick = factor(age + weight > 110, labels = c("no", "yes")))
  fit <- forest(sick ~ age + weight, d)
  bundle <- saved(fit, d, type = "probability")
  expect_named(bundle$predictions, "prediction")
  expect_identical(bundle$labels, "yes")
  expect_identical(bundle$predictions$prediction[1:40], as.vector(predict(fit, d, type = "prob")[, "yes"]))
  expect_identical(saved(fit, d)$type, "class")
  expect_error(saved(forest(town ~ age, people()), people(), type = "probability"), 'answers "class", got "probability"')
})

test_that("a forest without a formula knows its inputs; probes that it refuses are left out", {
  d <- people()
  fit <- forest(d[c("age", "town")], d$pressure)
  bundle <- saved(fit, d)
  expect_named(bundle$rows, c("age", "town"))
  expect_false(anyNA(bundle$rows))
  expect_setequal(as.character(probes_of(bundle)$town), c("Zug", "Bern", "Genf"))
  d$age[5] <- NA
  expect_error(saved(fit, d), "row 5")
})

test_that("forests that cannot predict are refused", {
  d <- people()
  expect_error(saved(forest(d[c("age", "weight")]), d), "unsupervised")
  expect_error(saved(forest(d["age"], d$pressure, keep.forest = FALSE), d), "keep.forest = TRUE")
})

test_that("predict()'s cutoff decides between classes", {
  fit <- forest(town ~ age + weight + stage, people())
  bundle <- saved(fit, people(), arguments = list(cutoff = c(0.98, 0.01, 0.01)))
  expect_false("Zug" %in% bundle$predictions$class[bundle$predictions$Zug < 0.9])
  expect_error(saved(forest(pressure ~ age, people()), people(), arguments = list(cutoff = 1)), "it takes none")
})

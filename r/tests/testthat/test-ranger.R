skip_if_not_installed("ranger")

forest <- function(...) ranger::ranger(..., num.trees = 15, seed = 3, num.threads = 1)

test_that("a regression forest answers a number; rows with a missing value are left out", {
  fit <- forest(pressure ~ age + weight + town, people())
  bundle <- saved(fit, people())
  expect_identical(bundle$predictions$prediction[1:40], predict(fit, people())$predictions)
  expect_false(anyNA(bundle$rows))
  few <- saved(fit, people(), arguments = list(num.trees = 2))
  expect_identical(few$predictions$prediction[1:40], predict(fit, people(), num.trees = 2)$predictions)
  expect_error(saved(fit, people(), arguments = list(num.trees = 16)), "num.trees is 16; the forest has 15 trees")
})

test_that("a classification forest answers the class, a probability forest also the shares", {
  classes <- saved(forest(town ~ age + weight, people()), people())
  expect_named(classes$predictions, "class")
  fit <- forest(town ~ age + weight, people()[c(3, 1, 2, 4:40), ], probability = TRUE)
  shares <- saved(fit, people())$predictions[1:40, ]
  expect_named(shares, c("class", "Zug", "Bern", "Genf"))
  expect_equal(as.matrix(shares[-1]), predict(fit, people())$predictions, ignore_attr = TRUE)
  expect_identical(shares$class, names(shares)[-1][max.col(shares[-1], "first")])
})

test_that("factors have the levels of the training data; a text is refused where ranger codes it by the rows at hand", {
  d <- people()
  assign("canari_people", d, globalenv())
  on.exit(rm("canari_people", envir = globalenv()))
  fit <- ranger::ranger(pressure ~ town + age, canari_people, num.trees = 5)
  turned <- transform(d, town = factor(town, rev(levels(town))))
  expect_identical(levels(saved(fit, turned)$rows$town), levels(d$town))
  expect_error(saved(forest(pressure ~ job + age, d), d), "'job' is a text")
  ordered <- saved(forest(pressure ~ job + age, d, respect.unordered.factors = "order"), d)
  expect_setequal(ordered$rows$job, c("clerk", "smith"))
})

test_that("forests that cannot predict are refused", {
  expect_error(saved(forest(pressure ~ age, people(), write.forest = FALSE), people()), "write.forest = TRUE")
})

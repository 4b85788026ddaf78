test_that("a kmeans answers the nearest centre, and none for a missing value", {
  set.seed(1)
  fit <- kmeans(people()[c("weight", "pressure")], 3, nstart = 5)
  bundle <- saved(fit, people()[c("pressure", "age", "weight")])
  expect_identical(bundle$labels, c("1", "2", "3"))
  expect_identical(bundle$predictions$class[1:40], as.character(fit$cluster))
  incomplete <- !complete.cases(probes_of(bundle))
  expect_identical(is.na(bundle$predictions$class[bundle$probe]), incomplete)
})

test_that("of equally near centres it answers the first", {
  fit <- kmeans(data.frame(x = c(-1, -1, 1, 1)), matrix(c(-1, 1), dimnames = list(NULL, "x")))
  expect_identical(saved(fit, data.frame(x = 0))$predictions$class[1], "1")
})

test_that("columns need names", {
  expect_error(save_model(kmeans(1:9, 2), data.frame(x = 1:9), path = unwritten()), "names of its columns")
})

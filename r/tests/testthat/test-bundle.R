# What stands in the file.

test_that("the bundle has the fields that the import reads", {
  fit <- lm(pressure ~ age + weight + town, people())
  bundle <- saved(fit, people()[1:10, ], metrics = list(rmse = 4L), units = c(age = "years"))
  expect_s3_class(bundle, "canari_model")
  expect_named(bundle, c(
    "format", "model", "preprocess", "rows", "probe", "predictions", "type", "labels", "arguments", "name", "metrics", "units",
    "session", "created"
  ))
  expect_identical(bundle$format, 1L)
  expect_null(bundle$preprocess)
  expect_identical(bundle$rows[!bundle$probe, ], people()[1:10, c("age", "weight", "town")])
  expect_identical(bundle$probe[1:11], rep(c(FALSE, TRUE), c(10, 1)))
  expect_identical(bundle$type, "number")
  expect_identical(bundle$labels, character())
  expect_identical(bundle$metrics, list(rmse = 4))
  expect_identical(bundle$units, c(age = "years"))
  expect_identical(bundle$session$R, as.character(getRversion()))
  expect_true("canari" %in% names(bundle$session$packages))
  expect_false("stats" %in% names(bundle$session$packages))
  expect_match(bundle$created, "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$")
})

test_that("predictions are R's own, row by row, also of the model that is read back", {
  fit <- lm(pressure ~ age * town + stage + job, people())
  bundle <- saved(fit, people())
  expect_named(bundle$predictions, "prediction")
  expect_equal(bundle$predictions$prediction, as.vector(predict(bundle$model, bundle$rows)), tolerance = 0)
  expect_equal(bundle$predictions$prediction[1:40], as.vector(fitted(fit)))
})

test_that("the file's name gives the model's name, and an own name overrides it", {
  fit <- lm(pressure ~ age, people())
  expect_identical(saved(fit, people(), file = "Blood Pressure.v2.RDS")$name, "blood-pressure.v2")
  expect_identical(saved(fit, people(), name = "bp")$name, "bp")
})

test_that("an existing file is replaced whole, and kept where saving fails", {
  path <- tempfile(fileext = ".rds")
  fit <- lm(pressure ~ age, people())
  save_model(fit, people(), path = path)
  expect_error(save_model(fit, people()["weight"], path = path), "lacks")
  expect_named(readRDS(path)$rows, "age")
  save_model(lm(pressure ~ weight, people()), people(), path = path)
  expect_named(readRDS(path)$rows, "weight")
})

test_that("the same call gives the same rows, and the caller's random numbers go on as if nothing had been", {
  fit <- lm(pressure ~ age + job, people())
  set.seed(7)
  expected <- runif(3)
  set.seed(7)
  first <- saved(fit, people())
  expect_identical(runif(3), expected)
  expect_identical(saved(fit, people())$rows, first$rows)

  set.seed(7, kind = "Wichmann-Hill")
  before <- .Random.seed
  save_model(fit, people(), path = path <- unwritten())
  expect_identical(.Random.seed, before)
  RNGkind("default")
  rm(".Random.seed", envir = globalenv())
  save_model(fit, people(), path = path)
  expect_false(exists(".Random.seed", globalenv(), inherits = FALSE))
  unlink(path)
})

test_that("a preprocess function goes with the model and is what predict() is given", {
  fit <- lm(pressure ~ decade, transform(people(), decade = age %/% 10L))
  decades <- function(rows) data.frame(decade = rows$age %/% 10L)
  bundle <- saved(fit, people()[c("age", "pressure")], preprocess = decades)
  expect_named(bundle$rows, "age")
  expect_identical(bundle$preprocess(data.frame(age = 47L)), data.frame(decade = 4L))
  expect_equal(bundle$predictions$prediction, as.vector(predict(fit, decades(bundle$rows))))
  expect_error(
    save_model(fit, people()["age"], preprocess = function(rows) rows[1, ], path = unwritten()),
    "must return a data frame with as many rows"
  )
})

test_that("a warning names what makes a file heavy", {
  fit_in_function <- function() {
    ballast <- rnorm(2e5)
    d <- people()
    lm(pressure ~ age, d)
  }
  expect_warning(saved(fit_in_function(), people()), "'ballast' in the formula's environment \\(1.5 MB\\)")
  expect_warning(saved(lm(pressure ~ age, people(2e5)), people()), "model\\$qr")
  scaling <- local({
    ballast <- rnorm(2e5)
    function(rows) rows["age"]
  })
  expect_warning(saved(lm(pressure ~ age, people()), people()["age"], preprocess = scaling), "'ballast' in preprocess's")
  expect_no_warning(saved(lm(pressure ~ age, people()), people()))
})

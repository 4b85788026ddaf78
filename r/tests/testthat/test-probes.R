# Rows that save_model() adds.

test_that("probes hold every level, each input missing, both truth values, the ends of each range and values beyond", {
  given <- people()[people()$town != "Genf", ]
  bundle <- saved(lm(pressure ~ age + weight + smoker + town + stage + job, people()), given)
  probes <- probes_of(bundle)
  expect_setequal(as.character(probes$town), c("Zug", "Bern", "Genf", NA))
  expect_identical(levels(probes$town), c("Zug", "Bern", "Genf"))
  expect_setequal(as.character(probes$stage), c("low", "mid", "high", NA))
  expect_true(is.ordered(probes$stage))
  expect_setequal(probes$job, c("clerk", "smith", NA))
  expect_setequal(probes$smoker, c(TRUE, FALSE, NA))
  for (column in c("age", "weight")) {
    ends <- range(given[[column]])
    expect_true(all(c(ends, ends + c(-1, 1) * diff(ends), NA) %in% probes[[column]]), column)
  }
  expect_type(probes$age, "integer")
  expect_true(all(colSums(is.na(probes)) == 1))
  expect_true(all(is.na(bundle$predictions$prediction[bundle$probe][!complete.cases(probes)])))
})

test_that("levels of a text column are those of the training data", {
  bundle <- saved(lm(pressure ~ job, people()), subset(people(), job == "clerk"))
  expect_setequal(probes_of(bundle)$job, c("clerk", "smith", NA))
  expect_type(bundle$rows$job, "character")
})

test_that("levels are known through factor() too, of texts and of numbers", {
  d <- transform(people(), rooms = 1 + seq_len(40) %% 5)
  bundle <- saved(lm(pressure ~ factor(job) + as.factor(rooms), d), subset(d, job == "clerk" & rooms < 4))
  expect_setequal(probes_of(bundle)$job, c("clerk", "smith", NA))
  expect_setequal(probes_of(bundle)$rooms, c(1:5, NA))
})

test_that("mixtures recombine the person's values", {
  bundle <- saved(lm(pressure ~ age + weight, people()), people())
  values <- function(rows) paste(rows$age, rows$weight)
  probes <- probes_of(bundle)
  mixed <- probes[probes$age %in% people()$age & probes$weight %in% people()$weight, ]
  expect_gt(sum(!values(mixed) %in% values(people())), 15)
})

test_that("probes on which predict() fails are left out, the others stay", {
  d <- people()
  strict <- function(x) if (anyNA(x) || any(x < 0)) stop("age must be known and positive") else sqrt(x)
  bundle <- saved(lm(pressure ~ strict(age) + weight, d), d)
  probes <- probes_of(bundle)
  expect_false(anyNA(probes$age))
  expect_true(all(probes$age >= 0))
  expect_true(anyNA(probes$weight))
  expect_true(max(d$age) + diff(range(d$age)) <= max(probes$age))
})

test_that("undefined values are recorded as R gives them", {
  bundle <- saved(lm(pressure ~ log(weight - 40), people()), people())
  beyond <- bundle$predictions$prediction[bundle$rows$weight < 40 & !is.na(bundle$rows$weight)]
  expect_true(length(beyond) > 0 && all(is.nan(beyond)))
})

test_that("columns that are constant, unknown or at the ends of the integers are no obstacle", {
  fit <- lm(pressure ~ age + weight, people())
  d <- transform(people(), age = rep(c(.Machine$integer.max, 0L), 20), weight = 70)
  expect_true(all(c(69, 70, 71) %in% probes_of(saved(fit, d))$weight))
  one <- transform(people()[1, ], age = NA_integer_, town = factor(NA, levels(people()$town)))
  expect_true(is.na(saved(lm(pressure ~ age + town, people()), one)$predictions$prediction[1]))
})

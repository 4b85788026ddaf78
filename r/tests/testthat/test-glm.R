test_that("a binomial model answers the probability of the second level", {
  d <- transform(people(), sick = factor(ifelse(age + weight > 110, "yes", "no"), c("yes", "no")))
  d$sick[1:4] <- c("yes", "no", "yes", "no")
  fit <- glm(sick ~ age + town, binomial, d)
  bundle <- saved(fit, d)
  expect_identical(bundle$type, "probability")
  expect_identical(bundle$labels, "no")
  expect_equal(bundle$predictions$prediction[1:40], as.vector(fitted(fit)))
})

test_that("labels follow the kind of response", {
  d <- people()
  label <- function(formula, ...) saved(suppressWarnings(glm(formula, binomial, d, ...)), d)$labels
  expect_identical(label(smoker ~ age), "TRUE")
  expect_identical(label(as.numeric(smoker) ~ age), "1")
  expect_identical(label(I(town == "Zug") ~ age), "TRUE")
  expect_identical(label(cbind(age, 100 - age) ~ weight), character())
  expect_identical(label(age / 100 ~ weight), character())
  expect_identical(label(town ~ age), character())
  frameless <- glm(factor(smoker, labels = c("never", "daily")) ~ age, binomial, d, model = FALSE)
  expect_identical(saved(frameless, d)$labels, "daily")
})

test_that("other families answer the expected number", {
  fit <- glm(round(pressure) ~ log(age), poisson, people())
  bundle <- saved(fit, people())
  expect_identical(bundle$type, "number")
  expect_equal(bundle$predictions$prediction[1:40], as.vector(fitted(fit)))
})

test_that("negative binomial models of MASS are saved", {
  skip_if_not_installed("MASS")
  fit <- MASS::glm.nb(Days ~ Sex + Age, MASS::quine)
  bundle <- saved(fit, MASS::quine)
  expect_identical(bundle$type, "number")
  expect_equal(bundle$predictions$prediction[seq_along(fitted(fit))], as.vector(fitted(fit)))
})

test_that("the linear predictor, standard errors and confidence intervals are answered", {
  fit <- glm(round(pressure) ~ age, quasipoisson, people())
  rows <- people()[1:5, ]
  known <- predict(fit, rows, se.fit = TRUE)
  expect_equal(saved(fit, rows, type = "link")$predictions$link[1:5], as.vector(known$fit))
  expect_equal(
    saved(fit, rows, type = "se")$predictions$se[1:5], as.vector(predict(fit, rows, type = "response", se.fit = TRUE)$se.fit)
  )
  interval <- saved(fit, rows, type = "confidence", arguments = list(level = 0.9))$predictions[1:5, ]
  expect_equal(interval$lower, as.vector(exp(known$fit - qnorm(0.95) * known$se.fit)))
  expect_equal(interval$upper, as.vector(exp(known$fit + qnorm(0.95) * known$se.fit)))
  expect_error(saved(fit, rows, type = "prediction"), 'answers "number" or "link" or "se" or "confidence"')
})

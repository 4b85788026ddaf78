skip_if_not_installed("earth")

test_that("an earth answers numbers, one column a response", {
  fit <- earth::earth(pressure ~ weight + town, people())
  expect_equal(saved(fit, people())$predictions$prediction[1:40], as.vector(fitted(fit)))
  several <- earth::earth(cbind(pressure, age) ~ weight, people())
  expect_named(saved(several, people())$predictions, c("pressure", "age"))
})

test_that("with a glm it answers the probability or the class", {
  d <- transform(people(), sick = factor(ifelse(weight + (age %% 9) > 75, "yes", "no")))
  fit <- earth::earth(sick ~ weight + age, d, glm = list(family = binomial))
  bundle <- saved(fit, d)
  expect_identical(bundle[c("type", "labels")], list(type = "probability", labels = "yes"))
  expect_equal(bundle$predictions$prediction[1:40], as.vector(predict(fit, d, type = "response")))
  expect_identical(saved(fit, d, type = "class")$predictions$class[1:40], as.vector(predict(fit, d, type = "class")))
})

test_that("columns of x are taken by their names", {
  fit <- earth::earth(people()[c("weight", "age")], people()$pressure)
  expect_equal(saved(fit, people())$predictions$prediction[1:40], as.vector(fitted(fit)))
})

skip_if_not_installed("survival")

test_that("a survreg answers the time or its linear predictor", {
  patients <- transform(people(), time = weight, died = smoker)
  fit <- survival::survreg(survival::Surv(time, died) ~ age + town, patients)
  expect_equal(saved(fit, patients)$predictions$prediction[1:40], as.vector(predict(fit, patients)))
  expect_equal(saved(fit, patients, type = "link")$predictions$link[1:40], as.vector(predict(fit, patients, type = "lp")))
})

skip_if_not_installed("survival")

patients <- transform(people(), time = weight, died = smoker)

test_that("a coxph answers its linear predictor, the risk and what is expected", {
  fit <- survival::coxph(survival::Surv(time, died) ~ age + town, patients)
  answer <- function(type) saved(fit, patients, type = type)$predictions[[type]][1:40]
  expect_equal(answer("link"), as.vector(predict(fit, patients)))
  expect_equal(answer("risk"), as.vector(predict(fit, patients, type = "risk")))
  expect_equal(answer("expected"), as.vector(predict(fit, patients, type = "expected")))
  expect_equal(answer("survival"), as.vector(predict(fit, patients, type = "survival")))
})

test_that("the reference is an argument, and the times are inputs where the rows have them", {
  fit <- survival::coxph(survival::Surv(time, died) ~ age, patients)
  bundle <- saved(fit, patients, arguments = list(reference = "zero"))
  expect_equal(bundle$predictions$link[1:40], as.vector(predict(fit, patients, reference = "zero")))
  expect_named(bundle$rows, c("age", "time", "died"))
  expect_named(saved(fit, patients["age"])$rows, "age")
  expect_error(save_model(fit, patients["age"], type = "expected", path = unwritten()), "no 'time', 'died'")
})

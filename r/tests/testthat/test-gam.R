skip_if_not_installed("mgcv")

test_that("a gam answers as a glm does", {
  fit <- mgcv::gam(smoker ~ town + s(weight, k = 5), binomial, people())
  bundle <- saved(fit, people())
  expect_identical(bundle[c("type", "labels")], list(type = "probability", labels = "TRUE"))
  expect_named(bundle$rows, c("weight", "town"))
  expect_equal(bundle$predictions$prediction[1:40], as.vector(fitted(fit)))
  expect_named(saved(fit, people(), type = "link")$predictions, "link")
  expect_named(saved(fit, people(), type = "se")$predictions, c("prediction", "se"))
})

test_that("probes have the levels of a smooth's factor", {
  fit <- mgcv::gam(pressure ~ s(town, bs = "re"), data = people())
  expect_setequal(probes_of(saved(fit, people()[people()$town == "Zug", ]))$town, c("Zug", "Bern", "Genf", NA))
})

test_that("a bam does not round its rows, and a gamm's gam is one", {
  fit <- mgcv::bam(pressure ~ s(weight, k = 5), data = people(), discrete = TRUE)
  expect_equal(saved(fit, people())$predictions$prediction[1:40], as.vector(predict(fit, people(), discrete = FALSE)))
  mixed <- mgcv::gamm(pressure ~ s(weight, k = 5), data = people())$gam
  expect_equal(saved(mixed, people())$predictions$prediction[1:40], as.vector(predict(mixed, people())))
})

test_that("several linear predictors are refused", {
  fit <- mgcv::gam(list(pressure ~ s(weight, k = 5), ~ age), mgcv::gaulss(), people())
  expect_error(save_model(fit, people(), path = unwritten()), "several linear predictors")
})

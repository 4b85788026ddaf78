test_that("a loess answers within its range only", {
  fit <- loess(pressure ~ weight, people())
  bundle <- saved(fit, people())
  expect_equal(bundle$predictions$prediction[1:40], as.vector(predict(fit, people())))
  beyond <- probes_of(bundle)$weight > max(people()$weight)
  expect_true(any(beyond, na.rm = TRUE))
  expect_true(all(is.na(bundle$predictions$prediction[bundle$probe][which(beyond)])))
})

library(testthat)
library(canari)

test_check("canari")

# Linear models with several responses.
source("common.R")

saved("mlm", lm(cbind(mpg, qsec) ~ wt * cyl_f + poly(hp, 2), cars), cars)
saved("mlm-names", lm(cbind(mpg, log(hp), power = qsec) ~ wt, mtcars), mtcars)
saved("mlm-matrix-without-names", lm(matrix(c(mpg, qsec), 32) ~ wt + disp, mtcars), mtcars)
saved("mlm-one-response", lm(cbind(mpg) ~ wt, mtcars), mtcars)
saved("mlm-deficient", lm(cbind(mpg, qsec) ~ wt + wt2 + cyl_f * gear_f, cars, weights = drat), cars)
saved("mlm-missing", lm(cbind(Ozone, Temp) ~ Wind + Solar.R + month, air), air)
refused("mlm-offset", lm(cbind(mpg, qsec) ~ wt + offset(drat), mtcars), mtcars, "several responses and an offset")
refused("mlm-offset-argument", lm(cbind(mpg, qsec) ~ wt, mtcars, offset = cbind(drat, drat)), mtcars, "several responses and an offset")
refused("mlm-same-names", lm(cbind(mpg, mpg) ~ wt, mtcars), mtcars, "two responses of the model are called 'mpg'")
refused("mlm-se", lm(cbind(mpg, qsec) ~ wt, mtcars), mtcars, "several responses answers number, not se", type = "se")

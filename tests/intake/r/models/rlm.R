# Robust linear models of the package MASS.
source("common.R")

saved("rlm", rlm(mpg ~ wt + log(hp) + cyl_f, cars), cars)
saved("rlm-bisquare", rlm(medv ~ lstat * rm + poly(dis, 2), housing, psi = psi.bisquare), housing[1:80, ])
saved("rlm-mm", rlm(mpg ~ wt + automatic, cars, method = "MM"), cars)
saved("rlm-weights", rlm(Ozone ~ Wind + month, air, weights = seq_len(153)), air)

refused("rlm-error", rlm(mpg ~ wt, mtcars), mtcars, "an rlm answers number, not se", type = "se")

# Local regression.
source("common.R")

rows <- data.frame(wt = c(seq(0, 7, length.out = 300), mtcars$wt), hp = 1)
saved("loess", loess(mpg ~ wt, mtcars), rows)
saved("loess-degree-1", loess(mpg ~ wt, mtcars, degree = 1, span = 0.4), rows)
saved("loess-degree-0", loess(mpg ~ wt, mtcars, degree = 0), rows)
saved("loess-robust", loess(mpg ~ wt, mtcars, family = "symmetric"), rows)
saved("loess-weights", loess(mpg ~ wt, mtcars, weights = qsec, span = 2), rows)
saved("loess-log", loess(log(mpg) ~ log(wt), mtcars, subset = cyl > 4), rows)
saved("loess-cells", loess(mpg ~ wt, mtcars, control = loess.control(cell = 0.02)), rows)
saved("loess-integer", loess(dist ~ speed, transform(datasets::cars, speed = as.integer(speed)), span = 0.3), data.frame(speed = 1:30))
many <- data.frame(x = round(rnorm(500, 1e4, 30)), y = rnorm(500))
saved("loess-many", loess(y ~ x, many, span = 0.1), many)

refused("loess-direct", loess(mpg ~ wt, mtcars, surface = "direct"), rows, "surface = \"interpolate\"")
refused("loess-two", loess(mpg ~ wt + hp, mtcars), rows, "2 variables")

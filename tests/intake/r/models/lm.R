# Linear models.
source("common.R")

# --- factors, interactions, codings

linear("lm-factor-times-number", lm(mpg ~ wt + factor(cyl) * hp, mtcars), mtcars)
linear("lm-two-way", lm(len ~ supp * dose, ToothGrowth), ToothGrowth)
linear("lm-squares-minus", lm(mpg ~ (wt + hp + qsec)^2 - wt:hp, mtcars), mtcars)
linear("lm-missing-rows", lm(Ozone ~ Solar.R + Wind + Temp + month, air), air)
linear("lm-nested-no-intercept", lm(Sepal.Length ~ Species / Petal.Length - 1, iris), iris)
linear("lm-no-intercept-two-factors", lm(mpg ~ 0 + cyl_f + gear_f + wt, cars), cars)
linear("lm-no-intercept-interaction", lm(mpg ~ 0 + wt:cyl_f + automatic, cars), cars)
linear("lm-no-intercept-numbers", lm(mpg ~ 0 + wt + hp, cars), cars)
linear("lm-interaction-without-main", lm(mpg ~ wt:cyl_f + gear_f:automatic, cars), cars)
linear("lm-three-factors", lm(breaks ~ wool * tension, warpbreaks), warpbreaks)
linear("lm-three-way", lm(mpg ~ cyl_f * automatic * wt, cars), cars)
linear("lm-in-operator", lm(mpg ~ cyl_f + wt %in% cyl_f, cars), cars)
linear("lm-logical", lm(mpg ~ automatic * wt, cars), cars)
linear("lm-character", lm(mpg ~ maker * vs + wt, cars), cars)
linear("lm-ordered", lm(mpg ~ carb_o * wt, cars), cars)
linear("lm-integer", lm(mpg ~ gears + power + I(power^2) + I(gears * power), cars), cars)
linear("lm-integer-overflow", lm(mpg ~ I(power * power * 1000L) + wt, cars), cars)
linear("lm-contr-sum", lm(Sepal.Length ~ Species * Petal.Length, iris, contrasts = list(Species = "contr.sum")), iris)
linear("lm-contr-sas", lm(mpg ~ cyl_f * wt, cars, contrasts = list(cyl_f = "contr.SAS")), cars)
linear("lm-contr-helmert", lm(mpg ~ cyl_f:gear_f + wt, cars, contrasts = list(cyl_f = "contr.helmert", gear_f = contr.sum)), cars)
linear("lm-contr-poly", lm(mpg ~ cyl_f, cars, contrasts = list(cyl_f = "contr.poly")), cars)
linear("lm-contr-matrix", lm(mpg ~ cyl_f + wt, cars, contrasts = list(cyl_f = contr.treatment(3, base = 2))), cars)
linear("lm-contr-one-column", lm(mpg ~ C(cyl_f, contr.helmert, 1) + wt, cars), cars)
linear("lm-rank-deficient", lm(mpg ~ wt + wt2 + hp, cars), cars)
linear("lm-rank-deficient-cells", lm(mpg ~ cyl_f * gear_f + wt, cars), cars)
linear("lm-weights", lm(mpg ~ wt + hp, mtcars, weights = qsec), mtcars)
linear("lm-subset", lm(mpg ~ cyl_f + wt, cars, subset = cyl != 6), cars, cars[cars$cyl != 6, ])
linear("lm-removed-variable", lm(mpg ~ . - disp, mtcars), mtcars)
linear("lm-single", lm(mpg ~ wt, mtcars), mtcars)
linear("lm-boston-all", lm(medv ~ ., housing), housing)
linear("aov", aov(yield ~ N * P * K, npk), npk)
write_model("lm-function-environment", (function(data) {
  noise <- rnorm(1000)
  lm(mpg ~ wt, data)
})(mtcars), mtcars["wt"], function(rows) predict(lm(mpg ~ wt, mtcars), rows), "number")
write_model("lm-more-columns", lm(mpg ~ wt, mtcars), mtcars, function(rows) predict(lm(mpg ~ wt, mtcars), rows), "number")

# --- functions of a column

linear("lm-bases", lm(medv ~ poly(lstat, 3) + log(crim) + I(rm^2) + ns(age, 4) + bs(dis, df = 5), housing), housing)
linear("lm-bases-interaction", lm(medv ~ ns(lstat, 3):chas + bs(rm, degree = 2, knots = c(5.5, 6.5)) * nox, housing), housing)
linear("lm-bases-intercept", lm(medv ~ 0 + ns(lstat, 3, intercept = TRUE) + bs(dis, 4, intercept = TRUE), housing), housing)
linear("lm-spline-no-knots", lm(medv ~ ns(lstat) + bs(dis) + bs(rm, degree = 1, knots = 6), housing), housing)
linear("lm-spline-boundary", lm(medv ~ ns(lstat, knots = c(8, 15), Boundary.knots = c(4, 30)), housing), housing)
linear("lm-poly-degrees", lm(mpg ~ poly(wt, 5) + poly(hp, degree = 1) + stats::poly(qsec, 2), mtcars), mtcars)
linear("lm-poly-raw", lm(mpg ~ poly(wt, degree = 3, raw = TRUE) + poly(hp, 2, raw = TRUE), mtcars), mtcars)
linear("lm-poly-two-variables", lm(mpg ~ poly(disp, hp, degree = 2), mtcars), mtcars)
linear("lm-poly-two-variables-raw", lm(mpg ~ poly(wt, hp, degree = 2, raw = TRUE), mtcars), mtcars)
linear("lm-poly-factor", lm(mpg ~ poly(wt, 2) * cyl_f, cars), cars)
linear("lm-scale", lm(mpg ~ scale(wt) + scale(hp, scale = FALSE) + scale(qsec, center = FALSE) + scale(drat, center = 3, scale = 2), mtcars), mtcars)
linear("lm-cut", lm(mpg ~ cut(qsec, c(0, 17, 19, 30)) + wt, mtcars), mtcars)
linear("lm-cut-options", lm(
  mpg ~ cut(wt, c(-Inf, 2.62, 3.44, Inf), right = FALSE) + cut(hp, c(52, 113, 335), labels = c("low", "high"), include.lowest = TRUE) +
    cut(qsec, seq(14, 24, by = 5), labels = FALSE), mtcars), mtcars)
linear("lm-cut-digits", lm(mpg ~ cut(disp, c(71.1, 120.301, 120.302, 500), include.lowest = TRUE), mtcars), mtcars)
linear("lm-ifelse", lm(mpg ~ ifelse(hp > 120 & wt < 3.5, 1, 0) + ifelse(is.na(qsec), 0, qsec), mtcars), mtcars)
linear("lm-ifelse-text", lm(mpg ~ ifelse(hp > 120, "strong", ifelse(wt < 2, "light", "other")) + wt, mtcars), mtcars)
linear("lm-logic", lm(
  mpg ~ I(hp > 120 | wt >= 3) + I(!(qsec <= 17)) + I(cyl != 6) + I(gear == 4 & !automatic) + xor(vs == 1, automatic) + (wt > 3), cars
), cars)
linear("lm-text-logic", lm(mpg ~ I(maker == "M") + I(cyl_f %in% c("4", "6")) + I(cyl %in% c(4, 8)) + I(maker != "T"), cars), cars)
linear("lm-logarithms", lm(mpg ~ log(wt, 3) + log(hp, base = 10) + log2(disp) + log10(qsec) + log1p(carb) + log(drat, 2), mtcars), mtcars)
linear("lm-functions", lm(
  log(mpg) ~ exp(-wt) + expm1(wt / 10) + sqrt(disp) + abs(qsec - 18) + sin(wt) + cos(hp / 50) + tan(qsec / 20) + tanh(drat) + atan(wt - 3) +
    sign(wt - 3), mtcars), mtcars)
linear("lm-rounding", lm(mpg ~ floor(wt) + ceiling(qsec) + round(drat) + trunc(wt - 3) + I(hp %% 7) + I(disp %/% 50), mtcars), mtcars)
linear("lm-arithmetic", lm(mpg ~ I(hp / wt) + I(-wt^2) + I((qsec - 1) * 2 + pi) + I(2^-wt) + I(wt / 0.5e1), mtcars), mtcars)
linear("lm-parallel", lm(mpg ~ pmin(wt, 3.5) + pmax(hp, 100, 2 * cyl) + pmin(qsec, drat * 5, na.rm = TRUE), mtcars), mtcars)
linear("lm-conversions", lm(mpg ~ as.numeric(cyl_f) + as.integer(wt) + as.numeric(as.character(gear_f)) + as.numeric(automatic), cars), cars)
linear("lm-factor-levels", lm(mpg ~ factor(cyl, levels = c(8, 6, 4), labels = c("eight", "six", "four")) + as.factor(gear) + ordered(vs), mtcars), mtcars)
linear("lm-factor-of-logical", lm(mpg ~ factor(automatic) * wt + relevel(cyl_f, ref = "6"), cars), cars)
linear("lm-as-factor-text", lm(mpg ~ as.factor(maker) + wt, cars), cars)
linear("lm-offset", lm(mpg ~ wt + offset(0.1 * drat) + offset(qsec), mtcars), mtcars)
linear("lm-response-transformed", lm(log(mpg) ~ log(wt) + I(log(hp)^2), mtcars), mtcars)
linear("lm-infinite", lm(mpg ~ I(1 / (wt - 1)) + log(hp), mtcars), rbind(mtcars, transform(mtcars[1:3, ], wt = 1, hp = 0)), rbind(mtcars, transform(mtcars[1:3, ], wt = c(1, 2, 1), hp = c(50, 0, 0))))

# --- standard errors and intervals

weighted <- lm(mpg ~ wt * cyl_f + poly(hp, 2), cars, weights = qsec)
deficient <- lm(mpg ~ wt + wt2 + cyl_f * gear_f + hp, cars)
missing_cells <- lm(Ozone ~ month / ns(Temp, 3) + log(Wind) + offset(0.01 * Solar.R), air, subset = Day > 2)
saved("lm-se", weighted, cars, type = "se")
saved("lm-confidence", weighted, cars, type = "confidence")
saved("lm-prediction-weighted", weighted, cars, type = "prediction")
saved("lm-prediction-level", weighted, cars, type = "prediction", arguments = list(level = 0.8))
saved("lm-prediction-weights", weighted, cars, type = "prediction", arguments = list(weights = 17.5))
saved("lm-prediction-variance", weighted, cars, type = "prediction", arguments = list(pred.var = 2, level = 0.99))
saved("lm-se-deficient", deficient, cars, type = "se")
saved("lm-prediction-deficient", deficient, cars, type = "prediction")
saved("lm-confidence-offset", missing_cells, air, type = "confidence")
saved("lm-se-offset-argument", lm(mpg ~ wt, mtcars, offset = drat / 2), mtcars, type = "se")
saved("lm-se-no-intercept", lm(mpg ~ 0 + wt:cyl_f + automatic, cars), cars, type = "se")
saved("lm-se-one-coefficient", lm(mpg ~ 0 + wt, mtcars), mtcars, type = "se")
saved("lm-confidence-weights-of-zero", lm(mpg ~ wt + hp, mtcars, weights = ifelse(cyl == 4, 0, qsec)), mtcars, type = "confidence")
saved("lm-confidence-saturated", lm(mpg ~ wt + hp, mtcars[1:3, ]), mtcars, type = "confidence")
saved("lm-se-raw-poly", lm(mpg ~ poly(disp, 4, raw = TRUE), mtcars), mtcars, type = "se")
saved("aov-prediction", aov(yield ~ block + N * P * K, npk), npk, type = "prediction")

# --- what the formula takes from the function that it was written in

within <- function(limit, knots) {
  pounds <- 1000
  heavy <- function(x, above = limit) x * pounds > above * 1000
  capped <- function(x, most) {
    pmin(x, most)
  }
  ratio <- function(x) return(x / pounds)
  degree <- 2
  edges <- c(10, 16, 19, 30)
  labels <- c("quick", "usual", "slow")
  own_log <- function(v) log(v + 1)
  log <- function(x) x^2
  function(data, unused) {
    list(
      constant = lm(mpg ~ I(hp > limit * 40) + I(wt * pounds) + ns(disp, knots = knots) + cut(qsec, edges, labels), data),
      functions = lm(mpg ~ heavy(wt) + capped(hp, 40 * limit) + ratio(disp) + heavy(wt, above = 2.5) + own_log(qsec), data),
      base = lm(mpg ~ I(log(wt)) + poly(hp, degree), data)
    )
  }
}
fits <- within(3, c(150, 300))(cars)
saved("lm-environment-constants", fits$constant, cars)
saved("lm-environment-functions", fits$functions, cars)
saved("lm-environment-masks-a-function", fits$base, cars)
saved("lm-environment-column-of-the-same-name", local({
  wt <- 3
  factor_of_ten <- 10
  lm(mpg ~ I(wt^2 / factor_of_ten) + log(hp), cars)
}), cars)

# --- traps

traps <- transform(
  cars,
  unused = factor(cyl, levels = c(2, 4, 5, 6, 8, 12)), large = .Machine$integer.max - as.integer(hp * 7L), always = TRUE,
  many = ordered((seq_along(mpg) * 5) %% 13), number_text = as.character(gear), whole = as.integer(qsec)
)
saved("lm-unused-levels", lm(mpg ~ unused * wt, traps), traps)
saved("lm-unused-levels-sum", lm(mpg ~ unused + wt, traps, contrasts = list(unused = "contr.sum")), traps)
saved("lm-ordered-many-levels", lm(mpg ~ many, traps), traps)
saved("lm-ordered-many-levels-se", lm(mpg ~ wt + many, traps), traps, type = "se")
saved("lm-response-in-terms", lm(mpg ~ mpg + wt + mpg:hp, traps), traps)
saved("lm-removed-and-added", lm(mpg ~ wt * hp * qsec - wt - wt:hp:qsec, traps), traps)
saved("lm-dot-transformed", lm(log(mpg) ~ . + I(wt^2) - wt2, cars[c("mpg", "wt", "wt2", "maker", "automatic", "carb_o")]), cars)
saved("lm-logical-of-one-value", lm(mpg ~ always + wt, traps), traps)
saved("lm-integers-near-the-end", lm(mpg ~ 0 + I(large + 100L) + wt, traps), traps)
saved("lm-integers-that-become-doubles", lm(mpg ~ 0 + I(large * 1) + I((large + 1) / whole), traps), traps)
saved("lm-integers-that-overflow", lm(mpg ~ I(large %/% 1000L * whole) + I(pmin(large, whole) * whole) + wt, traps), traps)
saved("lm-integer-remainders", lm(mpg ~ I(whole %% 4L) + I(whole %/% 3L) + I(power %% (whole - 16L)), traps), traps)
saved("lm-remainders", lm(mpg ~ I(drat %% 0.1) + I(wt %/% 0.3) + I(qsec %% 2.5), traps), traps)
saved("lm-rounding-digits", lm(mpg ~ round(wt, 1) + round(disp, -1) + round(drat * 1.005, 2), traps), traps)
saved("lm-text-as-number", lm(mpg ~ as.numeric(number_text) + ifelse(wt > 3, maker, "light"), traps), traps)
saved("lm-ordered-comparison", lm(mpg ~ I(carb_o >= "2") + I(many < "7") + I("3" > carb_o) + wt, traps), traps)
saved("lm-texts", lm(
  mpg ~ nchar(maker) + substr(maker, 1, 1) + toupper(cyl_f) + paste(automatic, gear_f) + I(startsWith(maker, "o")) +
    I(grepl("th", maker, fixed = TRUE)), traps), traps)
saved("lm-paste-missing", lm(Ozone ~ paste0("month-", month) + paste(Wind > 10, Solar.R > 200), air), air)
saved("lm-interaction", lm(mpg ~ interaction(cyl_f, automatic) + interaction(gear_f, vs == 1, sep = "/", drop = TRUE):wt, traps), traps)
saved("lm-matrix-terms", lm(mpg ~ cbind(wt, hp) + scale(cbind(disp, drat)):automatic + rowMeans(cbind(qsec, carb)), traps), traps)
saved("lm-intervals", lm(mpg ~ findInterval(wt, c(2, 3, 4)) + factor(findInterval(hp, c(100, 200), left.open = TRUE)), traps), traps)
saved("lm-more-functions", lm(
  mpg ~ atan2(wt, drat - 3.5) + asin(wt / 10) + sinh(wt - 3) + cosh(drat - 3) + asinh(qsec) + pnorm(wt, 3, 0.5) + dnorm(drat, 3), traps
), traps)
saved("lm-dplyr", lm(
  mpg ~ dplyr::case_when(hp > 200 ~ "strong", wt < 2.5 ~ "light", TRUE ~ "other") + dplyr::if_else(automatic, wt, 0) +
    dplyr::coalesce(qsec, 17) + dplyr::between(disp, 100, 300), traps), traps)
saved("lm-factor-labels", lm(mpg ~ factor(automatic, labels = c("no", "yes")) * factor(gear_f, labels = c("three", "four", "five")), traps), traps)
saved("lm-c-with-a-name", lm(mpg ~ C(cyl_f, sum) + C(gear_f, helmert) + C(carb_o, poly, 1), traps), traps)
saved("lm-contrasts-of-the-data", local({
  contrasts(traps$cyl_f) <- contr.treatment(3, base = 3)
  contrasts(traps$gear_f, 1) <- contr.helmert(3)
  lm(mpg ~ cyl_f * wt + gear_f, traps)
}), traps)
saved("lm-excluded-rows", lm(Ozone ~ Wind + month, air, na.action = na.exclude), air, type = "se")
saved("lm-one-row", lm(mpg ~ wt + cyl_f, cars), cars[5, ], type = "confidence")
saved("lm-codes-of-a-factor", local({
  traps$cylinders <- factor(cars$cyl, levels = c(8, 5, 6, 4, 12))
  lm(mpg ~ factor(cylinders) + as.integer(cylinders):wt + as.character(cylinders), traps)
}), transform(traps, cylinders = factor(cars$cyl, levels = c(8, 5, 6, 4, 12))))

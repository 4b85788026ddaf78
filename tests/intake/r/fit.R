# Fits models of every supported kind and writes, for each, NAME.rds (a bundle) and NAME.tsv (R's predictions in 17 digits).
# Usage: Rscript fit.R FOLDER
suppressWarnings(suppressPackageStartupMessages({
  library(splines)
  library(MASS)
  library(randomForest)
}))
folder <- commandArgs(TRUE)[[1]]
options(warn = -1)
set.seed(20)

write_model <- function(name, model, rows, predict_rows, type, labels = character()) {
  given <- rows
  # Each column missing in turn, in the first and in the last row; numbers beyond the ends of their range.
  probes <- do.call(rbind, lapply(names(rows), function(column) {
    probe <- rows[c(1, nrow(rows)), , drop = FALSE]
    probe[[column]] <- probe[[column]][NA_integer_]
    if (is.double(rows[[column]])) {
      beyond <- rows[c(1, nrow(rows)), , drop = FALSE]
      span <- diff(range(rows[[column]], na.rm = TRUE))
      beyond[[column]] <- range(rows[[column]], na.rm = TRUE) + c(-span, span) / 3
      probe <- rbind(probe, beyond)
    }
    probe
  }))
  answered <- vapply(seq_len(nrow(probes)), function(i) {
    !inherits(try(predict_rows(probes[i, , drop = FALSE]), silent = TRUE), "try-error")
  }, NA)
  probes <- probes[answered, , drop = FALSE]
  rows <- rbind(given, probes)
  rownames(rows) <- NULL
  predictions <- predict_rows(rows)
  if (!is.data.frame(predictions)) predictions <- data.frame(prediction = as.vector(predictions))
  bundle <- list(
    format = 1L, model = model, preprocess = NULL, rows = rows,
    probe = rep(c(FALSE, TRUE), c(nrow(given), nrow(probes))), predictions = predictions,
    type = type, labels = labels, name = gsub("[^a-z0-9]+", "-", tolower(name)), metrics = list(), units = character(),
    session = list(R = as.character(getRversion()), packages = c(MASS = "7")), created = "2026-01-01T00:00:00Z"
  )
  saveRDS(structure(bundle, class = "canari_model"), file.path(folder, paste0(name, ".rds")))
  digits <- lapply(predictions, function(x) if (is.numeric(x)) sprintf("%.17g", x) else as.character(x))
  write.table(data.frame(digits, check.names = FALSE), file.path(folder, paste0(name, ".tsv")), sep = "\t", quote = FALSE, row.names = FALSE, na = "NA")
}

inputs_of <- function(model, data) {
  data[intersect(names(data), c(all.vars(delete.response(terms(model))), all.vars(model$call$offset)))]
}

linear <- function(name, model, data, new = data) {
  write_model(name, model, inputs_of(model, new), function(rows) predict(model, rows), "number")
}

generalized <- function(name, model, data, new = data, type = "number", labels = character()) {
  rows <- inputs_of(model, new)
  write_model(name, model, rows, function(rows) predict(model, rows, type = "response"), type, labels)
}

forest <- function(name, model, rows, type) {
  predict_rows <- switch(type,
    number = function(rows) predict(model, rows),
    probability = function(rows) predict(model, rows, type = "prob")[, 2],
    class = function(rows) {
      data.frame(class = as.character(predict(model, rows)), unclass(predict(model, rows, type = "prob")), check.names = FALSE)
    }
  )
  write_model(name, model, rows, predict_rows, type, if (type == "probability") model$classes[[2]] else as.character(model$classes))
}

# --- data

cars <- transform(
  mtcars,
  cyl_f = factor(cyl), gear_f = factor(gear), carb_o = ordered(pmin(carb, 4)), automatic = am == 1,
  maker = substr(rownames(mtcars), 1, 1), gears = as.integer(gear), power = as.integer(hp), wt2 = wt * 2
)
cars$maker[!cars$maker %in% c("M", "H", "T")] <- "other"
housing <- transform(Boston, chas = as.integer(chas))
air <- transform(airquality, month = factor(Month))

# --- lm: factors, interactions, codings

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

# --- lm: functions of a column

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

# --- glm: families and links

generalized("glm-logit", glm(case ~ education + spontaneous + induced + age, binomial, infert), infert, type = "probability", labels = "1")
generalized("glm-logit-extreme", glm(am ~ wt, binomial, mtcars), mtcars, data.frame(wt = seq(-40, 40, 0.5)), "probability")
generalized("glm-logit-factor-response", glm(type ~ glu * bmi + poly(age, 2), binomial, Pima.tr), Pima.te, type = "probability", labels = "Yes")
generalized("glm-probit", glm(type ~ poly(glu, 2) + bmi + age, binomial("probit"), Pima.tr), Pima.te, type = "probability")
generalized("glm-probit-extreme", glm(type ~ glu, binomial("probit"), Pima.tr), Pima.te, data.frame(glu = seq(-2000, 2500, 10)), "probability")
generalized("glm-cauchit", glm(type ~ ., binomial("cauchit"), Pima.tr), Pima.te, type = "probability")
generalized("glm-cloglog", glm(type ~ glu * bmi, binomial("cloglog"), Pima.tr), Pima.te, type = "probability")
generalized("glm-binomial-log", glm(case ~ spontaneous, binomial("log"), infert), infert, type = "probability")
generalized("glm-counts-of-two", glm(cbind(ncases, ncontrols) ~ agegp + tobgp * alcgp, binomial, esoph), esoph, type = "probability")
generalized("glm-quasibinomial", glm(am ~ wt, quasibinomial, mtcars), mtcars, type = "probability")
generalized("glm-poisson-offset", glm(Claims ~ District + Group + Age + offset(log(Holders)), poisson, Insurance), Insurance)
generalized("glm-poisson-offset-argument", glm(Claims ~ District + Group, poisson, Insurance, offset = log(Holders)), Insurance)
generalized("glm-poisson-sqrt", glm(breaks ~ wool + tension, poisson("sqrt"), warpbreaks), warpbreaks)
generalized("glm-poisson-identity", glm(breaks ~ wool + tension, poisson("identity"), warpbreaks), warpbreaks)
generalized("glm-quasipoisson", glm(breaks ~ wool * tension, quasipoisson, warpbreaks), warpbreaks)
generalized("glm-gaussian", glm(mpg ~ wt + hp, data = mtcars), mtcars)
generalized("glm-gaussian-log", glm(mpg ~ wt + hp, gaussian("log"), mtcars), mtcars)
generalized("glm-gamma", glm(medv ~ lstat + rm, Gamma, housing), housing)
generalized("glm-gamma-log", glm(medv ~ lstat + rm + ns(dis, 3), Gamma("log"), housing), housing)
generalized("glm-inverse-gaussian", glm(mpg ~ wt, inverse.gaussian, mtcars), mtcars)
generalized("glm-power", glm(mpg ~ wt, quasi(power(1 / 3), "mu"), mtcars), mtcars)
generalized("glm-power-half", glm(mpg ~ wt, gaussian(power(0.5)), mtcars), mtcars)
generalized("glm-quasi-logit", glm(am ~ wt, quasi("logit", "mu(1-mu)"), mtcars), mtcars)
generalized("glm-nb", glm.nb(Days ~ Sex / (Age + Eth * Lrn), quine), quine)
generalized("glm-nb-sqrt", glm.nb(Days ~ Sex + Age, quine, link = sqrt), quine)

# --- randomForest

forest("rf-regression", randomForest(medv ~ ., housing, ntree = 60), housing[names(housing) != "medv"], "number")
forest("rf-regression-xy", randomForest(housing[1:13], housing$medv, ntree = 40), housing[1:13], "number")
forest("rf-regression-matrix", randomForest(as.matrix(housing[1:13]), housing$medv, ntree = 10), housing[1:13], "number")
forest("rf-bias-corrected", randomForest(medv ~ lstat + rm, housing, ntree = 20, corr.bias = TRUE), housing[c("lstat", "rm")], "number")
forest("rf-one-tree", randomForest(medv ~ lstat + rm, housing, ntree = 1), housing[c("lstat", "rm")], "number")
forest("rf-stumps", randomForest(Species ~ ., iris, ntree = 30, maxnodes = 2), iris[1:4], "class")
forest("rf-classes", randomForest(Species ~ ., iris, ntree = 100), iris[1:4], "class")
forest("rf-even-ties", randomForest(type ~ glu + bmi, Pima.tr, ntree = 4), Pima.te[c("glu", "bmi")], "class")
forest("rf-two-classes", randomForest(type ~ ., Pima.tr, ntree = 50), Pima.te[1:7], "class")
forest("rf-probability", randomForest(type ~ ., Pima.tr, ntree = 50), Pima.te[1:7], "probability")
births <- transform(infert, education = factor(education), stratum = ordered(pmin(parity, 4)), previous = induced > 0)
births_rows <- births[c("education", "age", "stratum", "previous", "spontaneous")]
forest("rf-factors", randomForest(factor(case) ~ education + age + stratum + previous + spontaneous, births, ntree = 80), births_rows, "class")
forest("rf-factors-xy", randomForest(births_rows, factor(births$case), ntree = 40), births_rows, "class")
n <- 600
letters_data <- data.frame(g = factor(sample(letters, n, TRUE)), h = factor(sample(state.abb[1:40], n, TRUE)), x = rnorm(n), z = runif(n))
letters_data$y <- as.integer(letters_data$g) %% 5 + letters_data$x^2 + as.integer(letters_data$h) %% 3
letters_data$k <- factor(c("lo", "mid", "hi")[cut(letters_data$y, 3, labels = FALSE)])
forest("rf-categories", randomForest(y ~ g + h + x + z, letters_data, ntree = 60), letters_data[1:4], "number")
forest("rf-categories-cutoff", randomForest(k ~ g + h + x, letters_data, ntree = 60, cutoff = c(.2, .5, .3)), letters_data[1:3], "class")
forest("rf-category-alone", randomForest(k ~ g, letters_data, ntree = 30), letters_data["g"], "class")

# --- what is refused: NAME.rds in a folder of its own

refused <- function(name, model, rows = mtcars) {
  bundle <- list(
    format = 1L, model = model, preprocess = NULL, rows = rows, probe = rep(FALSE, nrow(rows)),
    predictions = data.frame(prediction = rep(0, nrow(rows))), type = "number", labels = character(), name = "refused",
    metrics = list(), units = character(), session = list(R = "4", packages = character()), created = "2026-01-01T00:00:00Z"
  )
  dir.create(file.path(folder, "refused"), showWarnings = FALSE)
  saveRDS(structure(bundle, class = "canari_model"), file.path(folder, "refused", paste0(name, ".rds")))
}
k <- 120
own <- function(x) x + 1
refused("free-variable", lm(mpg ~ I(hp > k), mtcars))
refused("own-function", lm(mpg ~ own(wt), mtcars))
refused("mean", lm(mpg ~ I(wt - mean(wt)), mtcars))
refused("cut-by-rows", lm(mpg ~ cut(wt, 3), mtcars))
refused("poly-inside", lm(mpg ~ I(poly(wt, 2)^2), mtcars))
refused("scale-inside", lm(mpg ~ I(scale(wt)), mtcars))
refused("ns-inside", lm(mpg ~ I(2 * ns(wt, 3)), mtcars))
refused("offset-vector", lm(mpg ~ wt, mtcars, offset = rep(0.3, 32)))
refused("matrix-response", lm(cbind(mpg, hp) ~ wt, mtcars))
refused("robust", rlm(mpg ~ wt, mtcars))
refused("local", loess(mpg ~ wt, mtcars))
refused("no-input", lm(mpg ~ 1, mtcars))
refused("dollar", lm(mtcars$mpg ~ mtcars$wt))
own_link <- structure(
  list(linkfun = qlogis, linkinv = plogis, mu.eta = dlogis, valideta = function(eta) TRUE, name = "mine"), class = "link-glm"
)
refused("own-link", glm(am ~ wt, binomial(own_link), mtcars))
refused("text-order", lm(mpg ~ I(maker < "M"), cars), cars)
refused("matrix-column", { d <- data.frame(y = mtcars$mpg); d$m <- as.matrix(mtcars[c("wt", "hp")]); lm(y ~ m, d) })
refused("forest-without-trees", randomForest(medv ~ lstat, housing, ntree = 3, keep.forest = FALSE), housing)
refused("forest-unsupervised", randomForest(housing[1:3], ntree = 3), housing)
refused("forest-text", randomForest(mpg ~ maker + wt, cars, ntree = 3), cars)
refused("date", lm(mpg ~ d, transform(mtcars, d = as.Date("2026-01-01") + carb)), transform(mtcars, d = as.Date("2026-01-01") + carb))

# --- models without rows

bare <- file.path(folder, "bare")
dir.create(bare)
saveRDS(lm(mpg ~ wt + factor(cyl), mtcars), file.path(bare, "lm.rds"))
saveRDS(glm(am ~ wt, binomial, mtcars), file.path(bare, "glm.rds"), compress = "xz")
saveRDS(randomForest(Species ~ ., iris, ntree = 5), file.path(bare, "forest.rds"), compress = FALSE)
saveRDS(lm(mpg ~ carb_o + maker + wt, cars), file.path(bare, "factors.rds"))
saveRDS(mtcars, file.path(bare, "data.rds"))

# Boosted trees of the package gbm.
source("common.R")
quietly("gbm", "survival")

boosted <- function(formula, data, distribution, ..., n.trees = 25) {
  gbm(formula, distribution, data, ..., n.trees = n.trees, interaction.depth = 3, n.minobsinnode = 5, shrinkage = 0.1, n.cores = 1)
}

# Every value missing in a fifth of the cells, and one row without any value.
with_gaps <- function(rows) {
  holes <- rows
  for (name in names(holes)) holes[[name]][runif(nrow(holes)) < 0.2] <- NA
  nothing <- holes[1, , drop = FALSE]
  nothing[1, ] <- NA
  rbind(rows, holes, nothing)
}

# Rows on the split values of the first trees, each in another row.
with_split_values <- function(model, rows) {
  for (tree in model$trees[1:10]) {
    for (node in which(tree[[1]] >= 0)) {
      name <- model$var.names[[tree[[1]][node] + 1]]
      if (is.double(rows[[name]])) rows[sample(nrow(rows), 1), name] <- tree[[2]][node]
    }
  }
  rows
}

numbers <- housing[seq(1, nrow(housing), 4), names(housing) != "medv"]
whole <- boosted(medv ~ ., housing, "gaussian")
saved("gbm-gaussian", whole, rbind(with_gaps(numbers), with_split_values(whole, numbers)))
saved("gbm-gaussian-link", whole, numbers, type = "link")
saved("gbm-first-trees", whole, numbers, arguments = list(n.trees = 4))
saved("gbm-more-trees-than-fitted", whole, numbers, arguments = list(n.trees = 400))
saved("gbm-laplace", boosted(medv ~ lstat + rm, housing, "laplace"), with_gaps(numbers[c("lstat", "rm")]))
saved("gbm-tdist", boosted(medv ~ lstat + rm, housing, list(name = "tdist", df = 4)), with_gaps(numbers[c("lstat", "rm")]))
saved("gbm-quantile", boosted(medv ~ lstat + rm, housing, list(name = "quantile", alpha = 0.8)), with_gaps(numbers[c("lstat", "rm")]))
saved("gbm-monotone", boosted(medv ~ lstat + rm, housing, "gaussian", var.monotone = c(-1, 1)), with_gaps(numbers[c("lstat", "rm")]))
saved("gbm-far-from-zero", boosted(I(1e9 + medv) ~ lstat + rm, housing, "gaussian"), numbers[c("lstat", "rm")])
saved("gbm-one-predictor", boosted(medv ~ lstat, housing, "gaussian"), with_gaps(numbers["lstat"]))
saved("gbm-one-tree", boosted(medv ~ ., housing, "gaussian", n.trees = 1), numbers)
saved("gbm-test-fraction", boosted(medv ~ ., housing, "gaussian", train.fraction = 0.3, n.trees = 120), numbers)
saved("gbm-cross-validated", boosted(type ~ ., transform(Pima.tr, type = type == "Yes"), "bernoulli", cv.folds = 2, n.trees = 80), Pima.te[1:7])
saved("gbm-continued", gbm.more(whole, 5), numbers)
holes <- with_gaps(air[c("Solar.R", "Wind", "Temp")])
saved("gbm-missing-in-training", boosted(Ozone ~ Solar.R + Wind + Temp, air[!is.na(air$Ozone), ], "gaussian"), holes)

diabetes <- transform(Pima.tr, type = as.integer(type == "Yes"), rounded = round(bp / 10))
patients <- with_gaps(Pima.te[1:7])
saved("gbm-bernoulli", boosted(type ~ . - rounded, diabetes, "bernoulli"), patients)
saved("gbm-bernoulli-link", boosted(type ~ . - rounded, diabetes, "bernoulli"), patients, type = "link")
saved("gbm-adaboost", boosted(type ~ glu + bmi, diabetes, "adaboost"), patients[c("glu", "bmi")])
saved("gbm-adaboost-link", boosted(type ~ glu + bmi, diabetes, "adaboost"), patients[c("glu", "bmi")], type = "link")
saved("gbm-huberized", boosted(type ~ glu + bmi, diabetes, "huberized"), patients[c("glu", "bmi")])
saved("gbm-poisson", boosted(npreg ~ age + bmi, diabetes, "poisson"), patients[c("age", "bmi")])
saved("gbm-poisson-link", boosted(npreg ~ age + bmi, diabetes, "poisson"), patients[c("age", "bmi")], type = "link")
saved("gbm-poisson-offset", boosted(npreg ~ bmi + offset(log(age)), diabetes, "poisson"), patients[c("bmi", "age")])
saved("gbm-coxph", boosted(Surv(time, status) ~ age + ph.ecog + wt.loss, lung, "coxph"), with_gaps(lung[c("age", "ph.ecog", "wt.loss")]))
ranked <- boosted(type ~ glu + bmi, diabetes, list(name = "pairwise", metric = "conc", group = "rounded"))
saved("gbm-pairwise", ranked, patients[c("glu", "bmi")])
saved("gbm-pairwise-response", ranked, patients[c("glu", "bmi")], type = "number")
saved("gbm-multinomial", boosted(Species ~ ., iris, "multinomial"), with_gaps(iris[seq(1, 150, 3), 1:4]))
two <- droplevels(iris[51:150, ])
saved("gbm-multinomial-two", boosted(Species ~ ., two, "multinomial"), two[seq(1, 100, 3), 1:4], type = "probability")

# Factors: also ordered ones, with many levels, some without rows, and splits that saw some of them only.
n <- 500
shops <- data.frame(g = factor(sample(letters, n, TRUE)), h = factor(sample(state.abb[1:40], n, TRUE)), x = rnorm(n), size = ordered(sample(3, n, TRUE)))
shops$y <- as.integer(shops$g) %% 5 + shops$x^2 + as.integer(shops$h) %% 3 + as.integer(shops$size)
shops_rows <- with_gaps(shops[1:120, 1:4])
saved("gbm-factors", boosted(y ~ g + h + x + size, shops, "gaussian"), shops_rows)
saved("gbm-factor-alone", boosted(y ~ g, shops, "gaussian"), with_gaps(shops["g"]))
rare <- transform(shops, h = factor(ifelse(as.integer(h) > 36, as.character(h), "AL"), c("none", state.abb[1:40])))
saved("gbm-rare-levels", boosted(y ~ h + x, rare, "gaussian", bag.fraction = 0.3), with_gaps(droplevels(rare)[c("h", "x")]))
saved("gbm-fit", gbm.fit(shops[c("x", "h", "size")], shops$y, distribution = "gaussian", n.trees = 10, verbose = FALSE), shops_rows[c("size", "x", "h")])
saved("gbm-fit-matrix", gbm.fit(as.matrix(housing[1:13]), housing$medv, distribution = "gaussian", n.trees = 10, verbose = FALSE), numbers)
saved("gbm-terms", boosted(mpg ~ log(wt) + factor(cyl) + I(hp^2), cars, "gaussian"), with_gaps(cars[c("hp", "wt", "cyl")]))
interacting <- boosted(mpg ~ hp:cyl_f + wt * disp, cars, "gaussian")
saved("gbm-interactions", interacting, with_gaps(cars[c("wt", "disp", "hp", "cyl_f")]))
# The logarithm of a negative number is no missing value.
beyond <- cars[1:12, c("wt", "hp")]
beyond$wt[1:6] <- c(-1, 0, -5, NA, -2, 1e300)
saved("gbm-not-a-number", boosted(mpg ~ log(wt) + hp, cars, "gaussian"), beyond)
# Less than the first split of the first tree, in integers and logicals as numbers.
saved("gbm-integers", boosted(mpg ~ power + gears, cars, "gaussian"), with_gaps(cars[c("power", "gears")]))

scaled <- boosted(mpg ~ scale(wt) + hp, cars, "gaussian")
refused("gbm-scaled-by-the-rows-at-hand", scaled, cars[c("wt", "hp")], "scale(wt)")
unnumbered <- whole
unnumbered$trees <- whole$trees[1:3]
refused("gbm-without-trees", unnumbered, numbers, "it has 3 trees, expected 25")

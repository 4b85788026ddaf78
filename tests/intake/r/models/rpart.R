# Decision trees of the package rpart.
source("common.R")
quietly("rpart", "survival")

# Rows on every split value of a tree and right beside it, each in the first row otherwise.
with_split_values <- function(model, rows) {
  splits <- model$splits[model$splits[, "ncat"] < 2 & rownames(model$splits) %in% names(rows), , drop = FALSE]
  around <- lapply(seq_len(nrow(splits)), function(i) {
    name <- rownames(splits)[[i]]
    if (!is.double(rows[[name]])) return(NULL)
    at <- splits[i, "index"]
    found <- rows[rep(1 + i %% nrow(rows), 3), , drop = FALSE]
    found[[name]] <- c(at, at * (1 + .Machine$double.eps), at * (1 - .Machine$double.eps))
    found
  })
  rbind(rows, do.call(rbind, around))
}

# Every value missing in a fifth of the cells, and one row without any value.
with_gaps <- function(rows) {
  holes <- rows
  for (name in names(holes)) holes[[name]][runif(nrow(holes)) < 0.2] <- NA
  nothing <- holes[1, , drop = FALSE]
  nothing[1, ] <- NA
  rbind(rows, holes, nothing)
}

numbers <- housing[seq(1, nrow(housing), 5), names(housing) != "medv"]
whole <- rpart(medv ~ ., housing)
saved("rpart-anova", whole, with_split_values(whole, numbers))
saved("rpart-anova-missing", whole, with_gaps(numbers))
saved("rpart-pruned", prune(whole, cp = 0.05), with_gaps(numbers))
saved("rpart-snipped", snip.rpart(whole, 3), with_gaps(numbers))
saved("rpart-stump", prune(whole, cp = 0.3), with_gaps(numbers))
saved("rpart-single-node", prune(whole, cp = 1), numbers)
large <- rpart(medv ~ ., housing, minsplit = 2, cp = 0)
saved("rpart-large", large, with_gaps(numbers))
tree <- rpart(medv ~ ., housing, usesurrogate = 0, cp = 0.001)
saved("rpart-usesurrogate-none", tree, with_gaps(numbers))
tree <- rpart(medv ~ ., housing, usesurrogate = 1, maxsurrogate = 1, cp = 0.001)
saved("rpart-usesurrogate-stops", tree, with_gaps(numbers))
saved("rpart-no-surrogates", rpart(medv ~ ., housing, maxsurrogate = 0, maxcompete = 0), with_gaps(numbers))
saved("rpart-many-surrogates", rpart(medv ~ ., housing, maxsurrogate = 12), with_gaps(numbers))

# Half of the observations on each side: no majority, so a row without a value stays where it is.
even <- data.frame(x = c(1:10, 21:30) + 0.5, y = rep(0:1, each = 10) + (1:20 %% 2) / 10)
saved("rpart-no-majority", rpart(y ~ x, even, minsplit = 4, cp = 0), with_gaps(even["x"]))

saved("rpart-one-predictor", rpart(mpg ~ wt, cars), with_gaps(cars["wt"]))
saved("rpart-weights", rpart(mpg ~ wt + hp + cyl, cars, weights = qsec, minsplit = 6), with_gaps(cars[c("wt", "hp", "cyl")]))
saved("rpart-integers-logicals", rpart(mpg ~ power + automatic + gears, cars, minsplit = 6), with_gaps(cars[c("power", "automatic", "gears")]))
beyond <- cars[1:8, c("wt", "hp")]
beyond$wt[1:4] <- c(0, -0, -1, 1e300)  # of which the logarithm is infinite or none
saved("rpart-infinite", rpart(mpg ~ log(wt) + hp, cars, minsplit = 6), beyond)

# Factors: also ordered ones and texts, levels without rows, and combinations that a node never saw.
summary_rows <- cu.summary[c("Price", "Country", "Reliability", "Type")]
saved("rpart-factors", rpart(Mileage ~ ., cu.summary, minsplit = 8, cp = 0.001), with_gaps(summary_rows))
saved("rpart-class-factors", rpart(Reliability ~ Price + Country + Type, cu.summary, cp = 0.001), with_gaps(summary_rows[c(1, 2, 4)]))
every <- expand.grid(Country = levels(cu.summary$Country), Type = levels(cu.summary$Type))
saved("rpart-unseen-combinations", rpart(Price ~ Country + Type, cu.summary, minsplit = 4, cp = 0), every)
saved("rpart-unseen-combinations-stay", rpart(Price ~ Country + Type, cu.summary, minsplit = 4, cp = 0, usesurrogate = 0), every)
two <- transform(cu.summary, foreign = factor(Country != "USA", labels = c("no", "yes")))
saved("rpart-two-level-factor", rpart(Price ~ foreign + Type, two), with_gaps(two[c("foreign", "Type")]))
cars_rows <- cars[c("carb_o", "maker", "cyl_f", "wt")]
saved("rpart-ordered-and-text", rpart(mpg ~ carb_o + maker + cyl_f + wt, cars, minsplit = 4, cp = 0), with_gaps(cars_rows))
unused <- transform(cars, cyl_f = factor(cyl, levels = c("12", "4", "6", "8")))
saved("rpart-unused-level", rpart(mpg ~ cyl_f + carb_o, unused, minsplit = 4, cp = 0), with_gaps(unused[c("cyl_f", "carb_o")]))

# Terms of the formula.
terms_of <- rpart(mpg ~ log(wt) + I(hp^2) + factor(cyl) + sqrt(disp), cars, minsplit = 6)
saved("rpart-terms", terms_of, cars[c("wt", "hp", "cyl", "disp")])
saved("rpart-bases", rpart(mpg ~ poly(wt, 2) + ns(hp, 3) + scale(disp) + poly(qsec, 1), cars, minsplit = 6), cars[c("wt", "hp", "disp", "qsec")])
saved("rpart-no-intercept", rpart(mpg ~ wt + hp + disp - 1, cars, minsplit = 6), cars[c("wt", "hp", "disp")])
saved("rpart-offset", rpart(mpg ~ wt + hp + offset(qsec), cars, minsplit = 6), cars[c("wt", "hp", "qsec")])
saved("rpart-subset", rpart(mpg ~ ., mtcars, subset = hp > 90, minsplit = 6), with_gaps(mtcars[-1]))

# Classes.
flowers <- iris[seq(1, 150, 4), 1:4]
saved("rpart-class", rpart(Species ~ ., iris), with_gaps(flowers))
saved("rpart-class-deep", rpart(Species ~ ., iris, minsplit = 2, cp = 0), with_gaps(flowers))
saved("rpart-class-single-node", rpart(Species ~ ., iris, cp = 1), flowers)
spine <- kyphosis[c("Age", "Number", "Start")]
saved("rpart-two-classes", rpart(Kyphosis ~ ., kyphosis), with_gaps(spine))
saved("rpart-probability", rpart(Kyphosis ~ ., kyphosis, minsplit = 5, cp = 0), with_gaps(spine), type = "probability")
saved("rpart-prior", rpart(Kyphosis ~ ., kyphosis, parms = list(prior = c(0.65, 0.35), split = "information")), with_gaps(spine))
saved("rpart-loss", rpart(Kyphosis ~ ., kyphosis, parms = list(loss = matrix(c(0, 1, 4, 0), 2))), with_gaps(spine))
saved("rpart-class-weights", rpart(Kyphosis ~ ., kyphosis, weights = Number), with_gaps(spine))
# As many of either class in a leaf.
draws <- data.frame(x = rep(1:4, each = 10) + 0.5, k = factor(rep(c("a", "b"), 20)))
saved("rpart-class-ties", rpart(k ~ x, draws, minsplit = 2, minbucket = 1, cp = -1), draws["x"])
many <- transform(cars, g = factor(letters[1 + (seq_along(mpg) * 7) %% 9]))
saved("rpart-many-classes", rpart(g ~ wt + hp + disp, many, minsplit = 2, cp = 0), with_gaps(many[c("wt", "hp", "disp")]))
gap <- transform(iris, Species = factor(Species, c("setosa", "none", "versicolor", "virginica")))
saved("rpart-class-without-rows", rpart(Species ~ ., gap), flowers)

# Counts and times.
saved("rpart-poisson", rpart(skips ~ Opening + Solder + Mask + PadType + Panel, solder, method = "poisson"), with_gaps(solder[seq(1, 720, 9), c("Opening", "Solder", "Mask", "PadType", "Panel")]))
saved("rpart-poisson-rate", rpart(cbind(hp, carb) ~ wt + qsec, cars, method = "poisson", minsplit = 6, parms = list(shrink = 2)), with_gaps(cars[c("wt", "qsec")]))
saved("rpart-exp", rpart(Surv(time, status == 2) ~ age + sex + ph.ecog + wt.loss, lung), with_gaps(lung[1:60, c("age", "sex", "ph.ecog", "wt.loss")]))

last <- transform(iris, Species = factor(Species, c("setosa", "versicolor", "virginica", "none")))
refused("rpart-last-class-without-rows", rpart(Species ~ ., last), flowers, "fit it with droplevels() on the response", type = "class")
own <- list(
  eval = function(y, wt, parms) list(label = mean(y), deviance = sum((y - mean(y))^2)),
  split = function(y, wt, x, parms, continuous) list(goodness = rep(1, length(y) - 1), direction = rep(-1, length(y) - 1)),
  init = function(y, offset, parms, wt) {
    list(y = y, parms = NULL, numresp = 1, numy = 1, summary = function(yval, dev, wt, ylevel, digits) "")
  }
)
refused("rpart-own-method", rpart(mpg ~ wt, cars, method = own), cars["wt"], "method 'user' is not translated")
refused("rpart-matrix-column", rpart(mpg ~ poly(wt, hp, degree = 2), cars), cars[c("wt", "hp")], "a matrix's column; give it as a column of the data")

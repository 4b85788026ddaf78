# What is refused, and the words that say why.
source("common.R")
quietly("randomForest")

k <- 120
own <- function(x) x + 1
refused("free-variable", lm(mpg ~ I(hp > k), mtcars), mtcars, "'k', which is no column")
refused("own-function", lm(mpg ~ own(wt), mtcars), mtcars, "own()")
refused("mean", lm(mpg ~ I(wt - mean(wt)), mtcars), mtcars, "mean() depends on all rows")
refused("cut-by-rows", lm(mpg ~ cut(wt, 3), mtcars), mtcars, "cut(wt, 3)")
refused("poly-inside", lm(mpg ~ I(poly(wt, 2)^2), mtcars), mtcars, "poly(wt, 2)")
refused("scale-inside", lm(mpg ~ I(scale(wt)), mtcars), mtcars, "scale(wt)")
refused("ns-inside", lm(mpg ~ I(2 * ns(wt, 3)), mtcars), mtcars, "ns(wt, 3)")
refused("offset-vector", lm(mpg ~ wt, mtcars, offset = rep(0.3, 32)), mtcars, "rep(0.3, 32)")
refused("pursuit", ppr(mpg ~ wt, data = mtcars, nterms = 1), mtcars, "'ppr.form/ppr', which is not supported; supported are ")
refused("no-input", lm(mpg ~ 1, mtcars), mtcars, "uses no column")
refused("dollar", lm(mtcars$mpg ~ mtcars$wt), mtcars, "mtcars")
own_link <- structure(
  list(linkfun = qlogis, linkinv = plogis, mu.eta = dlogis, valideta = function(eta) TRUE, name = "mine"), class = "link-glm"
)
refused("own-link", glm(am ~ wt, binomial(own_link), mtcars), mtcars, "'mine'")
refused("text-order", lm(mpg ~ I(maker < "M"), cars), cars, "maker < \"M\"")
refused("matrix-column", { d <- data.frame(y = mtcars$mpg); d$m <- as.matrix(mtcars[c("wt", "hp")]); lm(y ~ m, d) }, mtcars, "'m' is a matrix")
refused("forest-without-trees", randomForest(medv ~ lstat, housing, ntree = 3, keep.forest = FALSE), housing, "keep.forest = TRUE")
refused("forest-unsupervised", randomForest(housing[1:3], ntree = 3), housing, "unsupervised")
refused("forest-text", randomForest(mpg ~ maker + wt, cars, ntree = 3), cars, "make it a factor")
refused("date", lm(mpg ~ d, transform(mtcars, d = as.Date("2026-01-01") + carb)), transform(mtcars, d = as.Date("2026-01-01") + carb), "'d' of the bundle's 'rows' is of class 'Date'")
refused("strata", aov(yield ~ N * P + Error(block), npk), npk, "aovlist")
refused("se-without-qr", lm(mpg ~ wt, mtcars, qr = FALSE), mtcars, "fit it with qr = TRUE", type = "se")
refused("glm-prediction", glm(am ~ wt, binomial, mtcars), mtcars, "a glm answers no prediction intervals", type = "prediction")
refused("lm-class", lm(mpg ~ wt, mtcars), mtcars, "an lm answers number or se or confidence or prediction, not class", type = "class")
refused("own-function-of-two-steps", local({
  two_steps <- function(x) {
    y <- x + 1
    y * 2
  }
  lm(mpg ~ two_steps(wt), mtcars)
}), mtcars, "two_steps() does more than answer one expression")
refused("own-function-of-dots", local({
  dots <- function(...) pmin(...)
  lm(mpg ~ dots(wt, 3), mtcars)
}), mtcars, "a function with the argument `...`")
refused("own-function-of-the-rows", local({
  centred <- function(x) x - mean(x)
  lm(mpg ~ centred(wt), mtcars)
}), mtcars, "mean() depends on all rows")
refused("own-function-doubling", local({
  f0 <- function(x) x + x
  f <- f0
  for (i in 1:10) f <- local({ before <- f; function(x) before(x) + before(x) })
  lm(mpg ~ f(wt), mtcars)
}), mtcars, "calls functions more than 1000 times")
refused("local", ppr(mpg ~ wt + hp, data = mtcars, nterms = 1), mtcars, "'ppr.form/ppr', which is not supported; supported are ")
refused("input-like-output", lm(mpg ~ prediction, transform(mtcars, prediction = wt)), transform(mtcars, prediction = wt), "'prediction' is called like")

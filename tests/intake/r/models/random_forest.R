# Forests of the package randomForest.
source("common.R")
quietly("randomForest")

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

# By the package's own door: predict()'s cutoff, forests put together, and fits that leave rows or columns out.
classes <- randomForest(k ~ g + h + x, letters_data, ntree = 20)
saved("rf-cutoff-argument", classes, letters_data[1:3], arguments = list(cutoff = c(0.6, 0.2, 0.2)))
saved("rf-cutoff-argument-by-name", classes, letters_data[1:3], arguments = list(cutoff = c(mid = 0.7, hi = 0.1, lo = 0.2)))
unvoted <- randomForest(k ~ x + z, letters_data, ntree = 10, norm.votes = FALSE, strata = letters_data$k, sampsize = c(5, 5, 5))
saved("rf-strata", unvoted, letters_data[3:4])
saved("rf-combined", combine(unvoted, randomForest(k ~ x + z, letters_data, ntree = 7)), letters_data[3:4])
saved("rf-grown", grow(randomForest(y ~ x + z, letters_data, ntree = 5), 3), letters_data[3:4])
holes <- air[c("Ozone", "Solar.R", "Wind", "month")]
saved("rf-rough-fix", randomForest(Ozone ~ ., holes, ntree = 10, na.action = na.roughfix), holes[-1])
saved("rf-left-out", randomForest(Ozone ~ ., holes, ntree = 10, na.action = na.omit), holes[-1])
many <- data.frame(g = factor(rep(1:53, 8)), h = rnorm(424))
saved("rf-53-levels", randomForest(many, as.integer(many$g) %% 7 + many$h, ntree = 10), many)
saved("rf-53-levels-classes", randomForest(many, factor(as.integer(many$g) %% 3), ntree = 10), many)
saved("rf-pima-probability", randomForest(Pima.tr[1:7], Pima.tr$type, ntree = 20), Pima.te[1:7], type = "probability")

# Rows on the split values of a tree, each in another row.
splitting <- randomForest(medv ~ lstat + rm, housing, ntree = 3)
edges <- housing[seq_len(200), c("lstat", "rm")]
for (node in seq_len(200)) {
  if (splitting$forest$bestvar[node, 1] > 0) edges[node, splitting$forest$bestvar[node, 1]] <- splitting$forest$xbestsplit[node, 1]
}
saved("rf-on-split-values", splitting, edges)

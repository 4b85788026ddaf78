# Models of caret::train().
source("common.R")
quietly("caret", "randomForest", "rpart")

once <- trainControl("none")
with_probabilities <- trainControl("none", classProbs = TRUE)
strength <- transform(mtcars, am = factor(am, labels = c("automatic", "manual")), cyl = factor(cyl), vs = vs == 1)
gaps <- strength
gaps[c(3, 9), "wt"] <- NA
gaps[c(5, 9), "hp"] <- NA

# --- what caret does itself: formulas and preProcess

saved("caret-lm", train(mpg ~ wt * cyl + poly(hp, 2), strength, "lm", trControl = once), strength)
saved("caret-lm-xy", train(mtcars[2:7], mtcars$mpg, "lm", trControl = once), mtcars)
saved("caret-lm-centred", train(mpg ~ wt + cyl + hp, strength, "lm", trControl = once, preProcess = c("center", "scale")), strength)
saved("caret-lm-range", train(mtcars[2:7], mtcars$mpg, "lm", trControl = once, preProcess = "range"), mtcars)
saved("caret-lm-bounds", train(mtcars[2:7], mtcars$mpg, "lm", trControl = once, preProcess = "range", rangeBounds = c(-1, 1)), mtcars)
saved("caret-lm-box-cox", train(mpg ~ wt + hp + disp + drat, mtcars, "lm", trControl = once, preProcess = c("BoxCox", "center")), mtcars)
saved("caret-lm-yeo-johnson", train(
  mpg ~ wt + hp + down, transform(mtcars, down = 3 - wt), "lm", trControl = once, preProcess = c("YeoJohnson", "scale")
), transform(mtcars, down = 3 - wt))
saved("caret-lm-expo", train(mtcars[3:6], mtcars$mpg, "lm", trControl = once, preProcess = "expoTrans"), mtcars)
saved("caret-lm-pca", train(mtcars[2:7], mtcars$mpg, "lm", trControl = once, preProcess = "pca"), mtcars)
saved("caret-lm-pca-one", train(mpg ~ ., mtcars, "lm", trControl = trainControl("none", preProcOptions = list(pcaComp = 1)), preProcess = "pca"), mtcars)
saved("caret-lm-spatial", train(mtcars[2:5], mtcars$mpg, "lm", trControl = once, preProcess = c("center", "scale", "spatialSign")), mtcars)
saved("caret-lm-median", train(mpg ~ wt + hp + cyl, gaps, "lm", trControl = once, preProcess = c("medianImpute", "center"), na.action = na.pass), gaps)
saved("caret-lm-median-xy", train(gaps[c("wt", "hp", "qsec")], gaps$mpg, "lm", trControl = once, preProcess = "medianImpute"), gaps)
saved("caret-lm-removed", train(
  mpg ~ wt + hp + same, transform(mtcars, same = 1), "lm", trControl = once, preProcess = c("zv", "center")
), transform(mtcars, same = 1))
saved("caret-lm-trimmed", train(mpg ~ wt + hp, mtcars, "lm", trControl = trainControl("none", predictionBounds = c(15, NA))), mtcars)
saved("caret-lm-trimmed-to-training", train(mpg ~ wt, mtcars, "lm", trControl = trainControl("none", predictionBounds = c(FALSE, TRUE))), mtcars)

# --- final models

saved("caret-glm", train(am ~ wt + qsec, strength, "glm", trControl = once), strength)
saved("caret-glm-probability", train(am ~ wt + qsec, strength, "glm", trControl = once), strength, type = "probability")
saved("caret-glm-counts", train(carb ~ wt + cyl, strength, "glm", family = poisson, trControl = once), strength)
saved("caret-rf", train(Species ~ ., iris, "rf", ntree = 21, trControl = once, tuneGrid = data.frame(mtry = 2)), iris)
saved("caret-rf-regression", train(mpg ~ ., strength, "rf", ntree = 20, trControl = once, tuneGrid = data.frame(mtry = 2)), strength)

grown <- function(...) train(..., trControl = once)
told <- function(...) train(..., trControl = with_probabilities)
saved("caret-rpart", grown(Species ~ ., iris, "rpart", tuneGrid = data.frame(cp = 0.01)), iris)
saved("caret-rpart-xy", grown(strength[c("wt", "cyl", "vs")], strength$mpg, "rpart2", tuneGrid = data.frame(maxdepth = 3)), strength)
ranger_grid <- data.frame(mtry = 2, splitrule = "gini", min.node.size = 2)
saved("caret-ranger", grown(Species ~ ., iris, "ranger", num.trees = 15, tuneGrid = ranger_grid), iris)
saved("caret-ranger-probability", told(Species ~ ., iris, "ranger", num.trees = 15, tuneGrid = ranger_grid), iris)
saved("caret-ranger-regression", grown(
  mpg ~ ., strength, "ranger", num.trees = 15, tuneGrid = data.frame(mtry = 2, splitrule = "variance", min.node.size = 3)
), strength)
boosting <- data.frame(n.trees = 12, interaction.depth = 2, shrinkage = 0.1, n.minobsinnode = 3)
saved("caret-gbm", grown(am ~ wt + qsec, strength, "gbm", verbose = FALSE, tuneGrid = boosting), strength)
saved("caret-gbm-classes", grown(Species ~ ., iris, "gbm", verbose = FALSE, tuneGrid = boosting), iris)
saved("caret-gbm-regression", grown(mpg ~ wt + qsec + cyl, strength, "gbm", verbose = FALSE, tuneGrid = boosting), strength)
penalty <- data.frame(alpha = 0.5, lambda = 0.02)
saved("caret-glmnet", grown(am ~ wt + qsec + cyl, strength, "glmnet", tuneGrid = penalty), strength)
saved("caret-glmnet-classes", grown(Species ~ ., iris, "glmnet", tuneGrid = penalty), iris)
saved("caret-glmnet-regression", grown(mpg ~ ., strength, "glmnet", preProcess = c("center", "scale"), tuneGrid = penalty), strength)
network <- data.frame(size = 2, decay = 0.1)
saved("caret-nnet", grown(am ~ wt + qsec, strength, "nnet", trace = FALSE, preProcess = "range", tuneGrid = network), strength)
saved("caret-nnet-classes", grown(Species ~ ., iris, "nnet", trace = FALSE, preProcess = "scale", tuneGrid = network), iris)
saved("caret-nnet-regression", grown(mpg ~ wt + qsec, strength, "nnet", trace = FALSE, linout = TRUE, preProcess = "scale", tuneGrid = network), strength)
saved("caret-multinom", grown(Species ~ ., iris, "multinom", trace = FALSE, tuneGrid = data.frame(decay = 0.1)), iris)
saved("caret-multinom-two", grown(am ~ wt + qsec, strength, "multinom", trace = FALSE, tuneGrid = data.frame(decay = 0.1)), strength)
saved("caret-lda", grown(Species ~ ., iris, "lda", preProcess = "pca"), iris)
saved("caret-lda-two", grown(am ~ wt + qsec, strength, "lda"), strength, type = "probability")
saved("caret-qda", grown(iris[1:3], iris$Species, "qda"), iris)
rated <- transform(mtcars, gear = ordered(gear))
saved("caret-polr", train(gear ~ wt + qsec, rated, "polr", trControl = once, tuneGrid = data.frame(method = "logistic")), rated)
saved("caret-svm", told(Species ~ ., iris, "svmLinear2", probability = TRUE, tuneGrid = data.frame(cost = 1)), iris)
saved("caret-svm-regression", grown(mpg ~ wt + qsec, strength, "svmLinear2", tuneGrid = data.frame(cost = 1)), strength)
saved("caret-rlm", grown(mpg ~ wt + qsec, strength, "rlm", tuneGrid = data.frame(intercept = TRUE, psi = "psi.huber")), strength)
saved("caret-step", grown(mpg ~ wt + qsec + hp, strength, "lmStepAIC", trace = 0), strength)

# --- refused

refused("caret-knn", train(Species ~ ., iris, "knn", trControl = once, tuneGrid = data.frame(k = 5)), iris, "method 'knn'", "class")
refused("caret-knn-impute", train(
  mtcars[2:7], mtcars$mpg, "lm", trControl = once, preProcess = "knnImpute"
), mtcars, "medianImpute")

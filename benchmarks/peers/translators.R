# Models of the classes that R people have, each with R's own predictions and translated by whoever can, for ../translators.py.
#
#     Rscript translators.R FOLDER
#
# A model NAME becomes NAME.rows (its rows), NAME.truth (R's predictions of them, in 17 digits), NAME.canari.rds (canari's bundle),
# and NAME.r2pmml and NAME.pmml (PMML of these two packages); for what could not be made there is NAME.TRANSLATOR.txt, the reason.
quietly <- function(package) suppressWarnings(suppressPackageStartupMessages(library(package, character.only = TRUE)))
for (package in c(
  "splines", "MASS", "nnet", "rpart", "ranger", "gbm", "glmnet", "e1071", "mgcv", "survival", "randomForest", "caret", "pmml"
)) quietly(package)
folder <- commandArgs(TRUE)[[1]]
options(warn = -1)
set.seed(20)

MISSING <- "\\N"

written <- function(table, file) {
  cells <- lapply(table, function(x) {
    text <- if (is.logical(x)) tolower(x) else if (is.numeric(x)) sprintf("%.17g", x) else as.character(x)
    ifelse(is.na(x), MISSING, text)
  })
  write.table(data.frame(cells, check.names = FALSE), file, sep = "\t", quote = FALSE, row.names = FALSE)
}

# Each column missing in turn, numbers beyond the ends of their range, and numbers that are exactly a split's value.
probes_of <- function(rows, splits) {
  changed <- function(column, value) {
    probe <- rows[1, , drop = FALSE]
    probe[[column]] <- if (is.integer(rows[[column]])) as.integer(value) else value
    probe
  }
  probes <- list()
  for (column in names(rows)) {
    probes <- c(probes, list(changed(column, rows[[column]][NA_integer_])))
    if (is.double(rows[[column]])) {
      ends <- range(rows[[column]], na.rm = TRUE)
      probes <- c(probes, lapply(ends + c(-1, 1) * diff(ends) / 3, changed, column = column))
    }
  }
  for (column in names(splits)) {
    if (is.double(rows[[column]])) probes <- c(probes, lapply(unique(splits[[column]]), changed, column = column))
  }
  do.call(rbind, probes)
}

# `predicts` answers rows with a data frame: `prediction`, or `class` and the levels' probabilities.
compared <- function(name, model, rows, predicts, splits = list(), arguments = NULL, type = NULL, target = NULL) {
  file <- function(ending) file.path(folder, paste0(name, ".", ending))
  given <- rows[seq_len(min(300, nrow(rows))), , drop = FALSE]
  probes <- probes_of(given, splits)
  one <- function(i) {  # some methods of predict() refuse a row, others leave it out
    answer <- try(predicts(probes[i, , drop = FALSE]), silent = TRUE)
    if (!inherits(answer, "try-error") && nrow(answer) == 1) answer
  }
  answers <- lapply(seq_len(nrow(probes)), one)
  answered <- !vapply(answers, is.null, NA)
  written(rbind(given, probes[answered, , drop = FALSE]), file("rows"))
  written(do.call(rbind, c(list(predicts(given)), answers[answered])), file("truth"))
  translators <- list(
    # What some classes do not hold themselves, a person has to give: the factors' levels, the lambda, the response's name.
    r2pmml = function() r2pmml::r2pmml(model, file("r2pmml"), data = given, lambda.s = arguments$s),
    pmml = function() {
      made <- do.call(pmml::pmml, c(list(model), s = arguments$s, predicted_field = target))
      save_pmml(made, file("pmml"))
    },
    canari = function() canari::save_model(model, given, path = file("canari.rds"), name = "model", type = type, arguments = arguments)
  )
  for (translator in names(translators)) {
    log <- file(paste0(translator, ".txt"))
    output <- base::file(log, "w")
    sink(output)
    made <- try(suppressMessages(translators[[translator]]()), silent = TRUE)
    sink()
    close(output)
    if (inherits(made, "try-error")) {
      unlink(file(translator))
      writeLines(conditionMessage(attr(made, "condition")), log)
    } else {
      unlink(log)
    }
  }
  message("fitted ", name)
}

numbers <- function(model, ...) function(rows) data.frame(prediction = as.vector(predict(model, rows, ...)))
classes <- function(class, probabilities) {
  data.frame(class = as.character(class), rbind(probabilities), check.names = FALSE, row.names = NULL)
}

# --- data: numbers, whole numbers and categories

housing <- transform(Boston, chas = factor(chas, labels = c("no", "yes")), rad = factor(rad))
homes <- housing[c("lstat", "rm", "age", "dis", "nox", "chas")]
women <- rbind(Pima.tr, Pima.te)
measures <- women[c("npreg", "glu", "bp", "skin", "bmi", "ped", "age")]
diabetic <- transform(women, y = as.integer(type == "Yes"))
air <- subset(transform(airquality, Month = factor(Month)), !is.na(Ozone))
n <- 500
shops <- data.frame(town = factor(sample(letters, n, TRUE)), area = rnorm(n, 100, 20), open = runif(n) > 0.5)
shops$sales <- as.integer(shops$town) %% 5 + shops$area / 20 + shops$open + rnorm(n)

# --- linear models

fit <- lm(medv ~ lstat + rm + age + chas, housing)
compared("lm, numbers and a factor", fit, homes[c("lstat", "rm", "age", "chas")], numbers(fit))
fit <- lm(medv ~ lstat * chas + I(rm^2) + log(dis), housing)
compared("lm, interaction, I() and log", fit, homes[c("lstat", "rm", "dis", "chas")], numbers(fit))
fit <- lm(medv ~ poly(lstat, 2) + ns(rm, 3) + chas, housing)
compared("lm, poly and ns", fit, homes[c("lstat", "rm", "chas")], numbers(fit))
fit <- glm(type ~ glu + bmi + log(ped) + age, binomial, women)
compared("glm, binomial", fit, measures[c("glu", "bmi", "ped", "age")], numbers(fit, type = "response"))
fit <- glm(Days ~ Eth + Sex + Age + Lrn, poisson, quine)
compared("glm, poisson, factors", fit, quine[1:4], numbers(fit, type = "response"))
fit <- glm(medv ~ lstat + rm + chas, Gamma("log"), housing)
compared("glm, Gamma with log link", fit, homes[c("lstat", "rm", "chas")], numbers(fit, type = "response"))
fit <- glm.nb(Days ~ Eth + Sex + Age + Lrn, quine)
compared("glm.nb", fit, quine[1:4], numbers(fit, type = "response"))

x <- as.matrix(measures)
fit <- cv.glmnet(as.matrix(homes[1:5]), housing$medv, nfolds = 5)
compared("cv.glmnet, gaussian", fit, homes[1:5], arguments = list(s = fit$lambda.1se), function(rows) {
  data.frame(prediction = as.vector(predict(fit, as.matrix(rows), s = fit$lambda.1se)))
})
fit_binomial <- glmnet(x, women$type, family = "binomial")
lambda <- fit_binomial$lambda[[30]]
compared("glmnet, binomial", fit_binomial, measures, arguments = list(s = lambda), type = "probability", function(rows) {
  data.frame(prediction = as.vector(predict(fit_binomial, as.matrix(rows), s = lambda, type = "response")))
})

# --- trees

forest_splits <- function(model, columns) {
  internal <- model$forest$bestvar[, 1] > 0
  split(model$forest$xbestsplit[internal, 1], columns[model$forest$bestvar[internal, 1]])
}
votes <- function(model) function(rows) classes(predict(model, rows), predict(model, rows, type = "prob"))
fit_forest <- randomForest(medv ~ lstat + rm + age + dis + nox + chas, housing, ntree = 101)
compared("randomForest, regression", fit_forest, homes, numbers(fit_forest), forest_splits(fit_forest, names(homes)))
fit_classes <- randomForest(type ~ ., women, ntree = 101)
compared("randomForest, classes", fit_classes, measures, votes(fit_classes), forest_splits(fit_classes, names(measures)), type = "class")
fit_towns <- randomForest(sales ~ town + area + open, shops, ntree = 101)
compared("randomForest, 26 categories", fit_towns, shops[1:3], numbers(fit_towns))

fit_ranger <- ranger(medv ~ lstat + rm + age + dis + nox, housing, num.trees = 101, seed = 1, num.threads = 1)
first <- treeInfo(fit_ranger, 1)
compared("ranger, regression", fit_ranger, homes[1:5], function(rows) {
  data.frame(prediction = predict(fit_ranger, rows, num.threads = 1)$predictions)
}, split(first$splitval, first$splitvarName))
fit_shares <- ranger(type ~ ., women, num.trees = 101, seed = 1, probability = TRUE, num.threads = 1)
compared("ranger, probabilities", fit_shares, measures, type = "class", function(rows) {
  shares <- rbind(predict(fit_shares, rows, num.threads = 1)$predictions)
  classes(colnames(shares)[max.col(shares, "first")], shares)
})

fit_rpart <- rpart(medv ~ lstat + rm + age + dis + nox + chas, housing)
compared("rpart, regression", fit_rpart, homes, numbers(fit_rpart), split(fit_rpart$splits[, "index"], rownames(fit_rpart$splits)))
fit_gaps <- rpart(Ozone ~ Solar.R + Wind + Temp + Month, air)
compared("rpart, surrogates for what is missing", fit_gaps, air[c("Solar.R", "Wind", "Temp", "Month")], numbers(fit_gaps))
fit_rpart_classes <- rpart(type ~ ., women)
compared("rpart, classes", fit_rpart_classes, measures, type = "class", function(rows) {
  classes(predict(fit_rpart_classes, rows, type = "class"), predict(fit_rpart_classes, rows, type = "prob"))
})

boosted <- function(model) function(rows) data.frame(prediction = predict(model, rows, n.trees = 100, type = "response"))
boosted_splits <- function(model) {
  trees <- do.call(rbind, lapply(1:5, function(i) pretty.gbm.tree(model, i)))
  inner <- trees[trees$SplitVar >= 0, ]
  split(inner$SplitCodePred, model$var.names[inner$SplitVar + 1])
}
fit_gbm <- gbm(medv ~ lstat + rm + age + dis + nox, "gaussian", housing, n.trees = 100, interaction.depth = 3, n.cores = 1)
compared("gbm, gaussian", fit_gbm, homes[1:5], boosted(fit_gbm), boosted_splits(fit_gbm))
fit_gbm_two <- gbm(y ~ glu + bmi + ped + age, "bernoulli", diabetic, n.trees = 100, interaction.depth = 2, n.cores = 1)
compared("gbm, bernoulli", fit_gbm_two, measures[c("glu", "bmi", "ped", "age")], boosted(fit_gbm_two), boosted_splits(fit_gbm_two))

# --- classes and others

probable <- function(model, kind = "probs") {
  function(rows) {
    found <- predict(model, rows, type = kind)
    if (is.null(dim(found))) found <- matrix(found, nrow(rows), dimnames = list(NULL, names(found)))
    classes(predict(model, rows, type = "class"), found)
  }
}
flowers <- iris[1:4]
fit_net <- nnet(Species ~ ., iris, size = 4, trace = FALSE)
compared("nnet, classes", fit_net, flowers, probable(fit_net, "raw"), type = "class")
fit_net_number <- nnet(medv / 50 ~ lstat + rm + chas, housing, size = 4, linout = TRUE, trace = FALSE)
compared("nnet, regression", fit_net_number, homes[c("lstat", "rm", "chas")], numbers(fit_net_number))
fit_multinom <- nnet::multinom(Species ~ ., iris, trace = FALSE)
compared("multinom", fit_multinom, flowers, probable(fit_multinom), type = "class")
fit_polr <- polr(Sat ~ Infl + Type + Cont, MASS::housing, weights = Freq)
compared("polr", fit_polr, MASS::housing[c("Infl", "Type", "Cont")], probable(fit_polr), type = "class")
for (method in c("lda", "qda")) {
  fit_discriminant <- get(method)(Species ~ ., iris)
  compared(method, fit_discriminant, flowers, type = "class", function(rows) {
    found <- predict(fit_discriminant, rows)
    classes(found$class, found$posterior)
  })
}
fit_svm <- svm(medv ~ lstat + rm + age + dis + nox, housing)
compared("svm, regression", fit_svm, homes[1:5], numbers(fit_svm))
fit_svm_classes <- svm(Species ~ ., iris)
compared("svm, classes", fit_svm_classes, flowers, function(rows) data.frame(class = as.character(predict(fit_svm_classes, rows))), type = "class")
fit_bayes <- naiveBayes(Species ~ ., iris)
compared("naiveBayes", fit_bayes, flowers, type = "class", target = "Species", function(rows) {
  classes(predict(fit_bayes, rows), predict(fit_bayes, rows, type = "raw"))
})
fit_gam <- gam(medv ~ s(lstat) + s(rm) + chas, data = housing)
compared("gam, s()", fit_gam, homes[c("lstat", "rm", "chas")], numbers(fit_gam))
patients <- na.omit(transform(survival::lung, sex = factor(sex))[c("time", "status", "age", "sex", "ph.ecog")])
fit_cox <- coxph(Surv(time, status) ~ age + sex + ph.ecog, patients)
compared("coxph, expected", fit_cox, patients, type = "expected", function(rows) data.frame(expected = predict(fit_cox, rows, type = "expected")))
fit_caret <- train(medv ~ lstat + rm + age + dis, housing, "lm", preProcess = c("center", "scale"), trControl = trainControl("none"))
compared("caret::train, lm, centred and scaled", fit_caret, homes[c("lstat", "rm", "age", "dis")], numbers(fit_caret))
fit_caret_forest <- train(
  Species ~ ., iris, "rf", ntree = 51, trControl = trainControl("none", classProbs = TRUE), tuneGrid = data.frame(mtry = 2)
)
compared("caret::train, rf", fit_caret_forest, flowers, type = "class", function(rows) {
  classes(predict(fit_caret_forest, rows), as.matrix(predict(fit_caret_forest, rows, type = "prob")))
})
fit_loess <- loess(medv ~ lstat, housing)
compared("loess", fit_loess, homes["lstat"], numbers(fit_loess))

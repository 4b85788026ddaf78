# Fits the three versions of the diabetes model and saves each for canari:
#   Rscript models/diabetes/train.R [OUTDIR]
# The same R and randomForest give the same predictions every time.

library(canari)

INPUTS <- c("npreg", "glu", "bp", "skin", "bmi", "ped", "age")
UNITS <- c(glu = "mg/dL", bp = "mm Hg", skin = "mm", bmi = "kg/m2", age = "years")

# Types of the columns that read.csv() leaves open. What the inputs need stands in the formulas, so that it goes with the model.
preprocess <- function(frame) {
  frame$type <- factor(frame$type, c("No", "Yes"))
  frame
}

# Test and training scores -------------------------------------------------------------------------------------------------

brier <- function(diabetic, probability) mean((diabetic - probability)^2)

deviance_per_row <- function(diabetic, probability) {
  probability <- pmin(pmax(probability, 1e-6), 1 - 1e-6)  # a forest may be sure
  -2 * mean(log(ifelse(diabetic, probability, 1 - probability)))
}

# The share of pairs of a diabetic and a healthy person that are in the right order (Mann and Whitney's U).
auc <- function(diabetic, probability) {
  ranks <- rank(probability)
  n <- as.double(sum(diabetic))
  (sum(ranks[diabetic]) - n * (n + 1) / 2) / (n * sum(!diabetic))
}

evaluate <- function(model, test) {
  diabetic <- test$type == "Yes"
  probability <- predict_probability(model, test)
  list(
    auc = auc(diabetic, probability),
    brier = brier(diabetic, probability),
    accuracy = mean((probability > 0.5) == diabetic)
  )
}

predict_probability <- function(model, frame) UseMethod("predict_probability")
predict_probability.glm <- function(model, frame) as.vector(predict(model, frame, type = "response"))
predict_probability.randomForest <- function(model, frame) predict(model, frame, type = "prob")[, "Yes"]

# Choosing hyperparameters -------------------------------------------------------------------------------------------------

# Mean score of `fit` over ten folds, three times; stratified by the response and the same for every candidate.
cross_validate <- function(fit, frame, score, folds = 10, times = 3) {
  set.seed(1988)
  mean(replicate(times, {
    fold <- ave(integer(nrow(frame)), frame$type, FUN = \(rows) sample(rep_len(seq_len(folds), length(rows))))
    mean(vapply(seq_len(folds), function(k) {
      held_out <- frame[fold == k, ]
      score(held_out$type == "Yes", predict_probability(fit(frame[fold != k, ]), held_out))
    }, 0))
  }))
}

# The row of `grid` with the smallest cross-validated score.
choose <- function(grid, fit, frame, score) {
  scores <- vapply(seq_len(nrow(grid)), function(i) cross_validate(\(part) fit(part, grid[i, ]), frame, score), 0)
  best <- which.min(scores)
  message("chosen of ", nrow(grid), ": ", paste(names(grid), unlist(grid[best, ]), sep = " = ", collapse = "; "),
          " (", format(scores[best], digits = 4), ")")
  grid[best, , drop = FALSE]
}

# Version 1: logistic regression -------------------------------------------------------------------------------------------

# How each input may enter. All stay in, so that every version takes the same columns from its callers.
TERMS <- expand.grid(
  npreg = "npreg",
  glu = c("glu", "poly(glu, 2)"),
  bp = "bp",
  skin = "skin",
  bmi = c("bmi", "log(bmi)"),  # monotone: callers send values far above those of 200 people
  ped = c("ped", "log(ped)"),
  age = c("age", "log(age)", "poly(age, 2)"),
  stringsAsFactors = FALSE
)

fit_glm <- function(frame, terms) {
  # The global environment is saved by name; a function's own would go into the file with all that it holds.
  formula <- reformulate(unlist(terms), "type", env = globalenv())
  glm(formula, binomial, frame)
}

train_glm <- function(train) fit_glm(train, choose(TERMS, fit_glm, train, deviance_per_row))

# Version 2: random forest -------------------------------------------------------------------------------------------------

GRID <- expand.grid(mtry = 1:3, nodesize = c(5, 10, 20))

fit_forest <- function(frame, parameters) {
  set.seed(2001)
  formula <- reformulate(INPUTS, "type", env = globalenv())
  randomForest::randomForest(formula, frame, ntree = 300, mtry = parameters$mtry, nodesize = parameters$nodesize)
}

train_forest <- function(train) fit_forest(train, choose(GRID, fit_forest, train, brier))

# Version 3: a plausible mistake -------------------------------------------------------------------------------------------

# Someone moved the centring of glucose into the formula and left it in the script: it is done twice in training and in the test,
# and once in production. The test's metrics are as good as version 1's.
centre_glucose <- function(frame) {
  frame$glu <- frame$glu - 124
  frame
}

train_centred_twice <- function(centred) {
  glm(as.formula("type ~ npreg + I(glu - 124) + bp + skin + bmi + log(ped) + age", globalenv()), binomial, centred)
}

# All three ----------------------------------------------------------------------------------------------------------------

main <- function(folder, out) {
  read <- function(file) preprocess(read.csv(file.path(folder, "data", file)))
  train <- read("train.csv")
  test <- read("test.csv")
  save <- function(model, version, seen) {
    metrics <- evaluate(model, seen)
    save_model(
      model, test, path = file.path(out, sprintf("diabetes-%d.rds", version)),
      name = "diabetes", type = "probability", metrics = metrics, units = UNITS
    )
    message("diabetes-", version, ": ", paste(names(metrics), sprintf("%.3f", metrics), collapse = ", "))
  }
  save(train_glm(train), 1, test)
  save(train_forest(train), 2, test)
  save(train_centred_twice(centre_glucose(train)), 3, centre_glucose(test))
}

folder <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)))
main(folder, c(commandArgs(TRUE), folder)[[1]])

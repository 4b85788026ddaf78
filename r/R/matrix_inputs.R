# What models share that were fitted to a matrix of predictors, and those that answer classes.

# The names of the predictors: those that the model holds, or all columns of the rows where there are as many.
named_predictors <- function(names, count, columns) {
  if (length(names) == count) return(names)
  if (length(columns) != count) {
    refuse(
      "the model does not hold the names of its ", count, " predictors; give `rows` with exactly these columns, ",
      "in the order of x, or fit it by a formula"
    )
  }
  columns
}

# The rows as predict() takes them, in the order of the fit.
as_predictors <- function(rows, names = NULL) {
  rows <- if (length(names)) rows[names] else rows
  if (length(texts <- names(rows)[!vapply(rows, function(x) is.numeric(x) || is.logical(x), NA)])) {
    refuse("`rows`: the model was fitted to a matrix of numbers, but these are none: ", quoted(texts))
  }
  matrix <- as.matrix(rows)
  storage.mode(matrix) <- "double"
  matrix
}

needs_package <- function(package) {
  if (!requireNamespace(package, quietly = TRUE)) refuse("predicting with this model needs the package ", package)
}

class_kinds <- function(levels) c(list(class = levels), if (length(levels) == 2L) list(probability = levels[[2L]]))

# `shares` has a column a level, in their order.
class_answers <- function(type, class, shares, levels) {
  colnames(shares) <- levels
  if (type == "probability") return(data.frame(prediction = as.vector(shares[, 2L])))
  data.frame(class = as.character(class), shares, row.names = NULL, check.names = FALSE)
}

# What R's predict answers, one row for each, as shares of all classes: of two it answers the second one's alone.
all_shares <- function(raw, rows, levels) {
  raw <- matrix(raw, nrow(rows))
  if (ncol(raw) == 1L && length(levels) == 2L) cbind(1 - raw, raw) else raw
}

# Unlike lm(), these fits hold nothing where there is no factor.
kept_levels <- function(model) if (length(model$xlevels)) model_levels.lm(model) else list()

# The levels of the factors in the data that a formula was fitted to, as far as these are still there.
levels_in_training <- function(model) Filter(is.character, lapply(training_data(model), levels))

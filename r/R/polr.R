# Ordinal regressions of the package MASS.

#' @export
answer_kinds.polr <- function(model) {
  needs_package("MASS")
  list(class = model$lev)
}

#' @export
answers.polr <- function(model, type, rows, arguments) {
  shares <- matrix(stats::predict(model, rows, type = "probs"), nrow(rows))
  class_answers(type, stats::predict(model, rows, type = "class"), shares, model$lev)
}

#' @export
model_inputs.polr <- function(model, columns) {
  formula_inputs(model, columns, training_data(model), nrow(model$fitted.values) + length(model$na.action))
}

#' @export
model_levels.polr <- function(model) kept_levels(model)

#' @export
model_response.polr <- function(model) formula_response(model)

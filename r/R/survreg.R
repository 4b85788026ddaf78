# Parametric survival models of survival.

#' @export
answer_kinds.survreg <- function(model) {
  if (!requireNamespace("survival", quietly = TRUE)) refuse("predicting with this model needs the package survival")
  list(number = character(), link = character())
}

#' @export
answers.survreg <- function(model, type, rows, arguments) {
  predictions <- as.vector(stats::predict(model, newdata = rows, type = if (type == "link") "lp" else "response"))
  stats::setNames(data.frame(predictions), if (type == "link") "link" else "prediction")
}

#' @export
model_inputs.survreg <- function(model, columns) {
  formula_inputs(model, columns, training_data(model), length(model$linear.predictors))
}

#' @export
model_levels.survreg <- function(model) if (length(model$xlevels)) model_levels.lm(model) else list()

#' @export
model_response.survreg <- function(model) formula_response(model)

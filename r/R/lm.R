# Linear models.

#' @export
answer_kinds.lm <- function(model) list(number = character())

#' @export
answers.lm <- function(model, type, rows, arguments) {
  data.frame(prediction = as.vector(stats::predict(model, newdata = rows)))
}

#' @export
model_inputs.lm <- function(model, columns) {
  formula_inputs(model, columns, training_data(model), length(model$residuals) + length(model$na.action))
}

#' @export
model_levels.lm <- function(model) {
  levels <- model$xlevels
  stats::setNames(levels, sub("^(as[.])?factor\\(([[:alnum:]._]+)\\)$", "\\2", names(levels)))
}

#' @export
model_response.lm <- function(model) formula_response(model)

# Local regression.

#' @export
answer_kinds.loess <- function(model) list(number = character())

#' @export
answers.loess <- function(model, type, rows, arguments) {
  data.frame(prediction = as.vector(stats::predict(model, newdata = rows)))
}

#' @export
model_inputs.loess <- function(model, columns) formula_inputs(model, columns, training_data(model), model$n)

#' @export
model_levels.loess <- function(model) list()

#' @export
model_response.loess <- function(model) formula_response(model)

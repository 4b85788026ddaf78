# Nonlinear least squares.

#' @export
answer_kinds.nls <- function(model) list(number = character())

#' @export
answers.nls <- function(model, type, rows, arguments) {
  data.frame(prediction = as.vector(stats::predict(model, newdata = rows)))
}

#' @export
model_inputs.nls <- function(model, columns) names(model$dataClasses)

#' @export
model_levels.nls <- function(model) list()

#' @export
model_response.nls <- function(model) all.vars(stats::formula(model)[[2L]])

# Quadratic discriminant analysis of the package MASS, in which all is where lda() has it.

#' @export
answer_kinds.qda <- function(model) answer_kinds.lda(model)

#' @export
answers.qda <- function(model, type, rows, arguments) answers.lda(model, type, rows, arguments)

#' @export
predict_arguments.qda <- function(model) c("prior", "method")

#' @export
model_inputs.qda <- function(model, columns) model_inputs.lda(model, columns)

#' @export
model_levels.qda <- function(model) kept_levels(model)

#' @export
model_response.qda <- function(model) model_response.lda(model)

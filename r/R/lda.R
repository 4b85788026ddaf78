# Linear discriminant analysis of the package MASS.

#' @export
answer_kinds.lda <- function(model) {
  needs_package("MASS")
  class_kinds(names(model$prior))
}

#' @export
answers.lda <- function(model, type, rows, arguments) {
  if (is.null(model$terms)) rows <- as_predictors(rows, rownames(model$scaling))
  found <- do.call(stats::predict, c(list(model, rows), arguments))
  class_answers(type, found$class, found$posterior, names(model$prior))
}

#' @export
predict_arguments.lda <- function(model) c("prior", "dimen", "method")

#' @export
model_inputs.lda <- function(model, columns) {
  if (is.null(model$terms)) return(named_predictors(rownames(model$scaling), ncol(model$means), columns))
  formula_inputs(model, columns, training_data(model), model$N + length(model$na.action))
}

#' @export
model_levels.lda <- function(model) kept_levels(model)

#' @export
model_response.lda <- function(model) if (is.null(model$terms)) character() else formula_response(model)

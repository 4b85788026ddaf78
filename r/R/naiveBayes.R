# Naive Bayes classifiers of the package e1071.

#' @export
answer_kinds.naiveBayes <- function(model) {
  needs_package("e1071")
  class_kinds(model$levels)
}

#' @export
answers.naiveBayes <- function(model, type, rows, arguments) {
  ask <- function(type) do.call(stats::predict, c(list(model, rows, type = type), arguments))
  class_answers(type, ask("class"), matrix(ask("raw"), nrow(rows)), model$levels)
}

#' @export
predict_arguments.naiveBayes <- function(model) c("threshold", "eps")

#' @export
model_inputs.naiveBayes <- function(model, columns) names(model$tables)

#' @export
model_levels.naiveBayes <- function(model) lapply(model$tables[!model$isnumeric], colnames)

#' @export
model_response.naiveBayes <- function(model) character()

# Robust linear models of the package MASS.

#' @export
answer_kinds.rlm <- function(model) {
  needs_package("MASS")
  list(number = character())
}

#' @export
answers.rlm <- function(model, type, rows, arguments) {
  data.frame(prediction = as.vector(stats::predict(model, newdata = rows)))
}

#' @export
predict_arguments.rlm <- function(model) character()

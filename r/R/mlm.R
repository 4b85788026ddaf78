# Linear models with several responses.

#' @export
answer_kinds.mlm <- function(model) list(number = character())

#' @export
predict_arguments.mlm <- function(model) character()

#' @export
answers.mlm <- function(model, type, rows, arguments) {
  if (!is.null(model$offset)) {
    refuse("predict() takes only some of the offsets of a model with several responses; fit one model for each response")
  }
  responses <- colnames(model$coefficients)
  if (is.null(responses)) responses <- character(ncol(model$coefficients))
  responses <- ifelse(nzchar(responses), responses, paste0("Y", seq_along(responses)))
  stats::setNames(data.frame(stats::predict(model, newdata = rows), row.names = NULL), responses)
}

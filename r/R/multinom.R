# Multinomial logistic regressions of the package nnet.

#' @export
answer_kinds.multinom <- function(model) {
  needs_package("nnet")
  class_kinds(classes_of(model))
}

# A response that is a matrix of counts has its classes in `lab`.
classes_of <- function(model) as.character(if (is.null(model$lev)) model$lab else model$lev)

#' @export
answers.multinom <- function(model, type, rows, arguments) {
  levels <- classes_of(model)
  shares <- all_shares(stats::predict(model, rows, type = "probs"), rows, levels)
  class_answers(type, stats::predict(model, rows, type = "class"), shares, levels)
}

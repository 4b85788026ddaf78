# Support vector machines of the package e1071, fitted to a formula or to x and y.

#' @export
answer_kinds.svm <- function(model) {
  needs_package("e1071")
  if (model$type > 2) return(list(number = character()))
  if (model$type == 2) return(list(class = c("FALSE", "TRUE")))
  kinds <- class_kinds(model$levels[sort(model$labels)])
  if (model$compprob) kinds else kinds["class"]
}

#' @export
answers.svm <- function(model, type, rows, arguments) {
  if (is.null(model$terms)) {
    rows <- as_predictors(rows, colnames(model$SV))
  } else {
    check_coding(model, rows)
  }
  answer <- stats::predict(model, rows)
  if (model$type > 2) return(data.frame(prediction = as.vector(answer)))
  if (model$type == 2 || !model$compprob) return(data.frame(class = as.character(answer)))
  shares <- attr(stats::predict(model, rows, probability = TRUE), "probabilities")
  levels <- model$levels[sort(model$labels)]
  class_answers(type, answer, shares[, levels, drop = FALSE], levels)
}

# svm() keeps no levels: factors with others, or in another order, would be taken for those of the fit.
check_coding <- function(model, rows) {
  coded <- colnames(stats::model.matrix(stats::delete.response(stats::terms(model)), rows))
  # It keeps their names as data.frame() writes them, and that of a single one not at all.
  plain <- function(names) make.names(names, unique = TRUE)
  if (!is.null(colnames(model$SV)) && !identical(plain(coded), plain(colnames(model$SV)))) {
    refuse(
      "the factors in `rows` have other levels than those that the svm was fitted to: it has the columns ",
      quoted(colnames(model$SV)), ", these are ", quoted(coded)
    )
  }
}

#' @export
answers.svm.formula <- answers.svm

#' @export
model_inputs.svm <- function(model, columns) {
  if (is.null(model$terms)) return(named_predictors(colnames(model$SV), ncol(model$SV), columns))
  formula_inputs(model, columns, training_data(model), length(model$fitted) + length(model$na.action))
}

#' @export
model_levels.svm <- function(model) if (is.null(model$terms)) list() else levels_in_training(model)

#' @export
model_response.svm <- function(model) if (is.null(model$terms)) character() else formula_response(model)

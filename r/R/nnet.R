# Networks of the package nnet, fitted to a formula or to x and y.

#' @export
answer_kinds.nnet <- function(model) {
  needs_package("nnet")
  if (!is.null(model$lev)) return(class_kinds(model$lev))
  list(number = character(), probability = character())[seq_len(if (model$n[[3L]] == 1) 2L else 1L)]
}

#' @export
answers.nnet <- function(model, type, rows, arguments) {
  if (is.null(model$terms)) rows <- as_predictors(rows)
  raw <- stats::predict(model, rows, type = "raw")
  if (!is.null(model$lev)) {
    return(class_answers(type, stats::predict(model, rows, type = "class"), all_shares(raw, rows, model$lev), model$lev))
  }
  if (ncol(raw) == 1L) return(data.frame(prediction = as.vector(raw)))
  colnames(raw) <- if (is.null(colnames(model$fitted.values))) paste0("y", seq_len(ncol(raw))) else colnames(model$fitted.values)
  as.data.frame(raw, row.names = seq_len(nrow(raw)), optional = TRUE)
}

#' @export
answers.nnet.formula <- answers.nnet

#' @export
model_inputs.nnet <- function(model, columns) {
  if (is.null(model$terms)) return(named_predictors(NULL, model$n[[1L]], columns))
  formula_inputs(model, columns, training_data(model), nrow(model$fitted.values) + length(model$na.action))
}

#' @export
model_levels.nnet <- function(model) kept_levels(model)

#' @export
model_response.nnet <- function(model) if (is.null(model$terms)) character() else formula_response(model)

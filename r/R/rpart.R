# Decision trees of the package rpart.

#' @export
answer_kinds.rpart <- function(model) {
  if (!requireNamespace("rpart", quietly = TRUE)) refuse("predicting with this model needs the package rpart")
  if (model$method != "class") return(list(number = character()))
  levels <- attr(model, "ylevels")
  c(list(class = levels), if (length(levels) == 2L) list(probability = levels[[2L]]))
}

#' @export
answers.rpart <- function(model, type, rows, arguments) {
  if (type == "number") return(data.frame(prediction = as.vector(stats::predict(model, newdata = rows, type = "vector"))))
  shares <- stats::predict(model, newdata = rows, type = "prob")
  if (type == "probability") return(data.frame(prediction = as.vector(shares[, 2L])))
  data.frame(
    class = as.character(stats::predict(model, newdata = rows, type = "class")),
    shares,
    row.names = NULL, check.names = FALSE
  )
}

#' @export
model_inputs.rpart <- function(model, columns) {
  formula_inputs(model, columns, training_data(model), length(model$where) + length(model$na.action))
}

#' @export
model_levels.rpart <- function(model) model_levels.lm(list(xlevels = attr(model, "xlevels")))

#' @export
model_response.rpart <- function(model) formula_response(model)

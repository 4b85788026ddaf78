# Random forests of the package randomForest, made from a formula or from x and y.

#' @export
answer_kinds.randomForest <- function(model) {
  if (!requireNamespace("randomForest", quietly = TRUE)) refuse("predicting with this model needs the package randomForest")
  if (model$type == "unsupervised") refuse("an unsupervised randomForest predicts nothing; fit it with a response")
  if (is.null(model$forest)) refuse("this randomForest was fitted without keeping its trees; fit it with keep.forest = TRUE")
  if (model$type == "regression") return(list(number = character()))
  levels <- model$classes
  c(list(class = levels), if (length(levels) == 2L) list(probability = levels[[2L]]))
}

#' @export
predict_arguments.randomForest <- function(model) if (model$type == "classification") "cutoff" else character()

#' @export
answers.randomForest <- function(model, type, rows, arguments) {
  if (type == "number") return(data.frame(prediction = as.vector(stats::predict(model, newdata = rows))))
  shares <- stats::predict(model, newdata = rows, type = "prob")
  if (type == "probability") return(data.frame(prediction = as.vector(shares[, 2L])))
  data.frame(
    class = as.character(do.call(stats::predict, c(list(model, newdata = rows), arguments))),
    unclass(shares),
    row.names = NULL, check.names = FALSE
  )
}

#' @export
answers.randomForest.formula <- answers.randomForest

#' @export
model_inputs.randomForest <- function(model, columns) {
  if (is.null(model$terms)) return(rownames(model$importance))
  formula_inputs(model, columns, training_data(model), length(model$predicted))
}

#' @export
model_levels.randomForest <- function(model) Filter(is.character, model$forest$xlevels)

#' @export
model_response.randomForest <- function(model) if (is.null(model$terms)) character() else formula_response(model)

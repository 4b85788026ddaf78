# Multivariate adaptive regression splines of earth.

#' @export
answer_kinds.earth <- function(model) {
  if (!requireNamespace("earth", quietly = TRUE)) refuse("predicting with this model needs the package earth")
  several <- ncol(model$coefficients) > 1L
  binomial <- length(model$glm.list) == 1L && model$glm.list[[1L]]$family$family %in% c("binomial", "quasibinomial")
  levels <- if (is.character(model$levels)) model$levels
  c(
    if (binomial) list(probability = if (length(levels) == 2L) levels[[2L]] else character()),
    list(number = character()),
    if (!is.null(levels)) list(class = levels),
    if (!several) list(link = character())
  )
}

#' @export
answers.earth <- function(model, type, rows, arguments) {
  predict_as <- switch(type, class = "class", link = "link", "response")
  if (is.null(model$terms)) rows <- rows[model$namesx]  # predict() would take them by their places
  predictions <- stats::predict(model, newdata = rows, type = predict_as)
  if (type == "class") return(data.frame(class = as.character(predictions)))
  name <- if (type == "link") "link" else if (ncol(predictions) > 1L) colnames(model$coefficients) else "prediction"
  stats::setNames(data.frame(unclass(predictions), row.names = NULL), name)
}

#' @export
model_inputs.earth <- function(model, columns) {
  if (is.null(model$terms)) return(model$namesx)
  formula_inputs(model, columns, training_data(model), nrow(model$fitted.values))
}

#' @export
model_levels.earth <- function(model) if (length(model$xlevels)) model_levels.lm(model) else list()

#' @export
model_response.earth <- function(model) if (is.null(model$terms)) character() else formula_response(model)

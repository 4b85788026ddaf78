# Linear models, and analyses of variance without Error() strata.

#' @export
answer_kinds.lm <- function(model) {
  list(number = character(), se = character(), confidence = character(), prediction = character())
}

#' @export
predict_arguments.lm <- function(model) c("level", "pred.var", "weights")

#' @export
answers.lm <- function(model, type, rows, arguments) {
  check_interval_arguments(type, arguments)
  if (type == "number") return(data.frame(prediction = as.vector(stats::predict(model, newdata = rows))))
  if (type == "se") {
    found <- stats::predict(model, newdata = rows, se.fit = TRUE)
    return(data.frame(prediction = as.vector(found$fit), se = as.vector(found$se.fit)))
  }
  found <- do.call(stats::predict, c(list(model, newdata = rows, interval = type), arguments))
  stats::setNames(data.frame(found, row.names = NULL), c("prediction", "lower", "upper"))
}

# `level` belongs to intervals, the others to prediction intervals.
check_interval_arguments <- function(type, arguments) {
  known <- switch(type, confidence = "level", prediction = c("level", "pred.var", "weights"))
  if (length(unknown <- setdiff(names(arguments), known))) {
    refuse('`arguments`: ', quoted(unknown), ' cannot be given with type = "', type, '"')
  }
  for (name in names(arguments)) {
    value <- arguments[[name]]
    if (!is.numeric(value) || length(value) != 1L || !is.finite(value) || value <= 0 || (name == "level" && value >= 1)) {
      refuse(
        "`arguments`: expected one number ", if (name == "level") "between 0 and 1" else "above 0", " for '", name, "', got ",
        paste(deparse(value), collapse = " ")
      )
    }
  }
}

#' @export
model_inputs.lm <- function(model, columns) {
  formula_inputs(model, columns, training_data(model), NROW(model$residuals) + length(model$na.action))
}

#' @export
model_levels.lm <- function(model) {
  levels <- model$xlevels
  stats::setNames(levels, sub("^(as[.])?factor\\(([[:alnum:]._]+)\\)$", "\\2", names(levels)))
}

#' @export
model_response.lm <- function(model) formula_response(model)

#' @export
answers.aov <- answers.lm

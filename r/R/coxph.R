# Cox's proportional hazards models of survival.

#' @export
answer_kinds.coxph <- function(model) {
  if (!requireNamespace("survival", quietly = TRUE)) refuse("predicting with this model needs the package survival")
  list(link = character(), risk = character(), expected = character(), survival = character())
}

#' @export
answers.coxph <- function(model, type, rows, arguments) {
  kind <- if (type == "link") "lp" else type
  lacking <- if (type %in% c("expected", "survival")) setdiff(formula_response(model), names(rows))
  if (length(lacking)) refuse("the answer \"", type, "\" needs the variables of Surv(); there is no ", quoted(lacking))
  predictions <- do.call(stats::predict, c(list(model, newdata = rows, type = kind), arguments))
  stats::setNames(data.frame(as.vector(predictions)), type)
}

#' @export
predict_arguments.coxph <- function(model) "reference"

# The times and the event are inputs where `rows` have them: predict() needs them for what is expected until then.
#' @export
model_inputs.coxph <- function(model, columns) {
  c(formula_inputs(model, columns, training_data(model), model$n), intersect(columns, formula_response(model)))
}

#' @export
model_levels.coxph <- function(model) model_levels.lm(structure(list(xlevels = as.list(model$xlevels)), names = "xlevels"))

#' @export
model_response.coxph <- function(model) formula_response(model)

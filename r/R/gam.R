# Generalized additive models of mgcv: gam(), bam(), and the $gam of gamm().

#' @export
answer_kinds.gam <- function(model) {
  if (!requireNamespace("mgcv", quietly = TRUE)) refuse("predicting with this model needs the package mgcv")
  if (is.list(model$formula)) refuse("a gam with several linear predictors (family '", model$family$family, "') cannot be saved")
  usual <- if (model$family$family %in% c("binomial", "quasibinomial")) {
    list(probability = success_label(model), number = character())
  } else {
    list(number = character())
  }
  c(usual, list(link = character(), se = character()))
}

#' @export
answers.gam <- function(model, type, rows, arguments) {
  predictions <- stats::predict(
    model, rows,
    type = if (type == "link") "link" else "response", se.fit = type == "se",
    # bam(discrete = TRUE) would round the rows to those that come with them.
    discrete = FALSE
  )
  if (type == "se") return(data.frame(prediction = as.vector(predictions$fit), se = as.vector(predictions$se.fit)))
  stats::setNames(data.frame(as.vector(predictions)), if (type == "link") "link" else "prediction")
}

#' @export
answers.bam <- answers.gam

#' @export
model_inputs.gam <- function(model, columns) intersect(all.vars(model$pred.formula), names(model$var.summary))

#' @export
model_levels.gam <- function(model) {
  c(lapply(Filter(is.factor, model$var.summary), levels), if (length(model$xlevels)) model_levels.lm(model))
}

#' @export
model_response.gam <- function(model) formula_response(model)

# Random forests of the package ranger, fitted from a formula, a dependent variable's name, or x and y.

#' @export
answer_kinds.ranger <- function(model) {
  if (!requireNamespace("ranger", quietly = TRUE)) refuse("predicting with this model needs the package ranger")
  if (is.null(model$forest)) refuse("this ranger was fitted without keeping its trees; fit it with write.forest = TRUE")
  classes <- ranger_classes(model)
  switch(model$treetype,
    "Regression" = list(number = character()),
    "Classification" = list(class = classes),
    "Probability estimation" = c(list(class = classes), if (length(classes) == 2L) list(probability = classes[[2L]])),
    refuse('a ranger of type "', model$treetype, '" cannot be saved')
  )
}

# In the order of the columns of predict().
ranger_classes <- function(model) {
  values <- model$forest$class.values
  if (is.null(model$forest$levels)) as.character(values) else model$forest$levels[sort(values)]
}

#' @export
predict_arguments.ranger <- function(model) "num.trees"

#' @export
answers.ranger <- function(model, type, rows, arguments) {
  trees <- if (is.null(arguments$num.trees)) model$num.trees else arguments$num.trees
  if (!is.numeric(trees) || length(trees) != 1L || !isTRUE(trees >= 1) || trees > model$num.trees) {
    refuse("`arguments`: num.trees is ", paste(deparse(trees), collapse = " "), "; the forest has ", model$num.trees, " trees")
  }
  for (name in setdiff(model$forest$independent.variable.names, names(model_levels(model)))) {
    if (is.character(rows[[name]])) refuse("'", name, "' is a text, which ranger codes by the rows at hand; make it a factor")
  }
  predictions <- stats::predict(model, data = rows, num.trees = trees, num.threads = 1L)$predictions
  if (type == "number") return(data.frame(prediction = as.vector(predictions)))
  if (model$treetype == "Classification") return(data.frame(class = as.character(predictions)))
  if (type == "probability") return(data.frame(prediction = as.vector(predictions[, 2L])))
  classes <- ranger_classes(model)
  # The most probable class, which ranger itself does not name.
  shares <- stats::setNames(as.data.frame(unclass(predictions)), classes)
  data.frame(class = classes[max.col(predictions, "first")], shares, row.names = NULL, check.names = FALSE)
}

#' @export
model_inputs.ranger <- function(model, columns) model$forest$independent.variable.names

# A forest keeps the levels only where it has ordered them itself; else those of the data of its call count.
#' @export
model_levels.ranger <- function(model) {
  kept <- Filter(Negate(is.null), model$forest$covariate.levels)
  call <- ranger_call(model)
  data <- if (is.null(call$data)) call$x else call$data
  data <- tryCatch(as.list(eval(data, globalenv())), error = function(e) NULL)
  factors <- Filter(is.factor, data[setdiff(model$forest$independent.variable.names, names(kept))])
  c(kept, lapply(factors, levels))
}

#' @export
model_response.ranger <- function(model) {
  call <- ranger_call(model)
  formula <- tryCatch(stats::as.formula(eval(call$formula, globalenv())), error = function(e) NULL)
  if (!is.null(formula)) return(all.vars(formula[[2L]]))
  if (is.character(call$dependent.variable.name)) call$dependent.variable.name else character()
}

# Its arguments by name, as far as the call tells them: none of a call with `...`.
ranger_call <- function(model) tryCatch(match.call(ranger::ranger, model$call), error = function(e) list())

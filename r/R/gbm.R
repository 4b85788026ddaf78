# Boosted trees of the package gbm, fitted from a formula or by gbm.fit().

#' @export
answer_kinds.gbm <- function(model) {
  if (!requireNamespace("gbm", quietly = TRUE)) refuse("predicting with this model needs the package gbm")
  number <- list(number = character())
  link <- list(link = character())
  switch(model$distribution$name,
    bernoulli = , adaboost = c(list(probability = "1"), link),
    pairwise = c(link, number),
    coxph = link,
    multinomial = c(list(class = model$classes), if (model$num.classes == 2) list(probability = model$classes[[2L]])),
    c(number, link)
  )
}

#' @export
predict_arguments.gbm <- function(model) "n.trees"

#' @export
answers.gbm <- function(model, type, rows, arguments) {
  trees <- if (is.null(arguments$n.trees)) usual_trees(model) else arguments$n.trees
  if (!is.numeric(trees) || length(trees) != 1L || !isTRUE(trees >= 1)) {
    refuse("`arguments`: n.trees is ", paste(deparse(trees), collapse = " "), ", expected one number from 1 to ", model$n.trees)
  }
  if (is.null(model$Terms)) rows <- rows[model$var.names]  # which predict() takes by position
  texts <- names(rows)[vapply(rows, is.character, NA)]
  if (length(texts)) refuse(quoted(texts), " is a text, of which gbm's predict() makes no level; make it a factor")
  scale <- if (type == "link") "link" else "response"
  # It warns that it leaves an offset out.
  predictions <- suppressWarnings(stats::predict(model, newdata = rows, n.trees = min(trees, model$n.trees), type = scale))
  if (model$distribution$name != "multinomial") {
    return(stats::setNames(data.frame(as.vector(predictions)), if (type == "link") "link" else "prediction"))
  }
  shares <- matrix(predictions, nrow(rows), dimnames = list(NULL, model$classes))
  if (type == "probability") return(data.frame(prediction = as.vector(shares[, 2L])))
  # The most probable class, which gbm itself does not name.
  data.frame(class = model$classes[max.col(shares, "first")], shares, check.names = FALSE)
}

# The number of trees that predict() chooses where none is given.
usual_trees <- function(model) {
  if (model$train.fraction < 1) return(which.min(model$valid.error))
  if (!is.null(model$cv.error)) return(which.min(model$cv.error))
  length(model$train.error)
}

# The terms as predict() evaluates them: without the offsets.
predictor_terms <- function(model) stats::terms(stats::reformulate(attr(model$Terms, "term.labels")))

#' @export
model_inputs.gbm <- function(model, columns) {
  if (is.null(model$Terms)) return(model$var.names)
  model$terms <- model$Terms
  inputs <- formula_inputs(model, columns, training_data(model), length(model$fit))
  intersect(inputs, all.vars(attr(predictor_terms(model), "variables")))
}

#' @export
model_levels.gbm <- function(model) {
  names <- model$var.names
  if (!is.null(model$Terms)) names <- vapply(as.list(attr(predictor_terms(model), "variables"))[-1L], deparse1, "", backtick = FALSE)
  model_levels.lm(list(xlevels = Filter(is.character, stats::setNames(model$var.levels, names))))
}

#' @export
model_response.gbm <- function(model) {
  if (is.null(model$Terms)) return(character())
  model$terms <- model$Terms
  formula_response(model)
}

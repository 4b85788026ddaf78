# Generalized linear models; those of MASS::glm.nb() are of class negbin.

#' @export
answer_kinds.glm <- function(model) {
  if (model$family$family %in% c("binomial", "quasibinomial")) {
    list(probability = success_label(model))
  } else {
    list(number = character())
  }
}

# What the probability is the probability of; nothing for counts, shares and responses of more than two levels.
success_label <- function(model) {
  response <- tryCatch(stats::model.response(stats::model.frame(model)), error = function(e) NULL)
  if (is.factor(response)) {
    if (nlevels(response) == 2L) levels(response)[[2L]] else character()
  } else if (is.logical(response)) {
    "TRUE"
  } else if (is.numeric(response) && is.null(dim(response)) && all(response %in% 0:1)) {
    "1"
  } else {
    character()
  }
}

#' @export
answers.glm <- function(model, type, rows, arguments) {
  data.frame(prediction = as.vector(stats::predict(model, newdata = rows, type = "response")))
}

#' @export
model_inputs.glm <- function(model, columns) {
  formula_inputs(model, columns, if (is.list(model$data)) model$data, length(model$y) + length(model$na.action))
}

#' @export
answers.negbin <- answers.glm

# Generalized linear models; those of MASS::glm.nb() are of class negbin.

#' @export
answer_kinds.glm <- function(model) {
  usual <- if (model$family$family %in% c("binomial", "quasibinomial")) {
    list(probability = success_label(model), number = character())
  } else {
    list(number = character())
  }
  c(usual, list(link = character(), se = character(), confidence = character()))
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
predict_arguments.glm <- function(model) "level"

#' @export
answers.glm <- function(model, type, rows, arguments) {
  check_interval_arguments(type, arguments)
  predicted <- function(...) stats::predict(model, newdata = rows, ...)
  switch(type,
    link = data.frame(link = as.vector(predicted(type = "link"))),
    se = {
      found <- predicted(type = "response", se.fit = TRUE)
      data.frame(prediction = as.vector(found$fit), se = as.vector(found$se.fit))
    },
    confidence = {
      found <- predicted(type = "link", se.fit = TRUE)
      eta <- as.vector(found$fit)
      level <- if (is.null(arguments$level)) 0.95 else arguments$level
      half <- stats::qnorm((1 + level) / 2) * as.vector(found$se.fit)
      ends <- list(model$family$linkinv(eta - half), model$family$linkinv(eta + half))
      data.frame(
        prediction = model$family$linkinv(eta), lower = do.call(pmin, ends), upper = do.call(pmax, ends), row.names = NULL
      )
    },
    data.frame(prediction = as.vector(predicted(type = "response")))
  )
}

#' @export
model_inputs.glm <- function(model, columns) {
  formula_inputs(model, columns, if (is.list(model$data)) model$data, length(model$y) + length(model$na.action))
}

#' @export
answers.negbin <- answers.glm

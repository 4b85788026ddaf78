# Elastic nets of the package glmnet, at one lambda: the argument `s`, which cv.glmnet() chooses by itself.

#' @export
answer_kinds.glmnet <- function(model) {
  needs_package("glmnet")
  if (isTRUE(model$offset)) {
    refuse("this glmnet was fitted with an offset, which predict() takes apart from the rows as newoffset; fit it without")
  }
  family <- intersect(class(model), c("elnet", "lognet", "multnet", "fishnet", "mrelnet", "coxnet", "glmnetfit"))
  link <- list(link = character())
  switch(family,
    lognet = c(binomial_kinds(model$classnames), link),
    multnet = list(class = model$classnames),
    fishnet = c(list(number = character()), link),
    coxnet = c(list(risk = character()), link),
    glmnetfit = if (model$family$family %in% c("binomial", "quasibinomial")) {
      c(list(probability = character(), number = character()), link)
    } else {
      c(list(number = character()), link)
    },
    list(number = character())
  )
}

# A response of two columns of counts may have no names.
binomial_kinds <- function(classes) {
  if (is.null(classes)) list(probability = character()) else list(probability = classes[[2L]], class = classes)
}

#' @export
answer_kinds.cv.glmnet <- function(model) answer_kinds(model$glmnet.fit)

#' @export
answers.glmnet <- function(model, type, rows, arguments) {
  fit <- if (inherits(model, "cv.glmnet")) model$glmnet.fit else model
  if (is.null(arguments$s) && identical(fit, model) && length(model$lambda) > 1L) {
    refuse(
      "the glmnet holds a path of ", length(model$lambda), " lambdas: say which one is to predict with ",
      "`arguments = list(s = 0.01)`, or save the cv.glmnet"
    )
  }
  x <- as_predictors(rows, model_inputs.glmnet(fit))
  # R's own functions take methods by `newx` alone, and one row as a matrix.
  ask <- function(type) do.call(stats::predict, c(list(model, newx = x, type = type), arguments))
  found <- ask(if (type == "link") "link" else "response")
  if (inherits(fit, "mrelnet")) {
    return(as.data.frame(matrix(found, nrow(x), dimnames = list(NULL, colnames(found))), optional = TRUE))
  }
  if (inherits(fit, "multnet")) return(class_answers(type, ask("class"), matrix(found, nrow(x)), fit$classnames))
  if (type == "class") return(class_answers(type, ask("class"), all_shares(found, rows, fit$classnames), fit$classnames))
  stats::setNames(data.frame(as.vector(found)), if (type %in% c("link", "risk")) type else "prediction")
}

#' @export
answers.elnet <- answers.glmnet

#' @export
answers.lognet <- answers.glmnet

#' @export
answers.multnet <- answers.glmnet

#' @export
answers.fishnet <- answers.glmnet

#' @export
answers.mrelnet <- answers.glmnet

#' @export
answers.coxnet <- answers.glmnet

#' @export
answers.glmnetfit <- answers.glmnet

#' @export
answers.relaxed <- answers.glmnet

#' @export
answers.cv.glmnet <- answers.glmnet

#' @export
answers.cv.relaxed <- answers.glmnet

#' @export
predict_arguments.glmnet <- function(model) "s"

#' @export
predict_arguments.cv.glmnet <- function(model) "s"

#' @export
predict_arguments.relaxed <- function(model) c("s", "gamma")

#' @export
predict_arguments.cv.relaxed <- function(model) c("s", "gamma")

#' @export
model_inputs.glmnet <- function(model, columns) rownames(if (is.list(model$beta)) model$beta[[1L]] else model$beta)

#' @export
model_inputs.cv.glmnet <- function(model, columns) model_inputs.glmnet(model$glmnet.fit)

#' @export
model_levels.glmnet <- function(model) list()

#' @export
model_levels.cv.glmnet <- function(model) list()

#' @export
model_response.glmnet <- function(model) character()

#' @export
model_response.cv.glmnet <- function(model) character()

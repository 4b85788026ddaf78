# Models of caret::train(), with their preProcess and whatever final model.

#' @export
answer_kinds.train <- function(model) {
  for (package in c("caret", model$modelInfo$library)) {
    if (!requireNamespace(package, quietly = TRUE)) refuse("predicting with this model needs the package ", package)
  }
  if (model$modelType == "Regression") return(list(number = character()))
  levels <- as.vector(levels(model))
  c(list(class = levels), if (length(levels) == 2L && has_probabilities(model)) list(probability = levels[[2L]]))
}

# Many methods have probabilities only where trainControl() asked for them.
has_probabilities <- function(model) {
  tryCatch(
    {
      some <- utils::head(model$trainingData[setdiff(names(model$trainingData), ".outcome")], 3L)
      is.data.frame(stats::predict(model, some, type = "prob", na.action = stats::na.pass))
    },
    error = function(e) FALSE
  )
}

#' @export
answers.train <- function(model, type, rows, arguments) {
  # caret drops rows with a missing value, unless told not to; where its preProcess imputes them it must be.
  whole <- if (any(grepl("Impute$", names(model$preProcess$method)))) stats::na.pass else stats::na.omit
  raw <- stats::predict(model, rows, na.action = whole)
  if (type == "number") return(data.frame(prediction = as.vector(raw)))
  shares <- if (has_probabilities(model)) stats::predict(model, rows, type = "prob", na.action = whole)
  if (type == "probability") return(data.frame(prediction = shares[[2L]]))
  answer <- data.frame(class = as.character(raw), stringsAsFactors = FALSE)
  if (is.null(shares)) answer else cbind(answer, as.data.frame(shares, optional = TRUE))
}

#' @export
answers.train.formula <- answers.train

#' @export
model_inputs.train <- function(model, columns) {
  if (!is.null(model$terms)) return(formula_inputs(model, columns, model$trainingData, nrow(model$trainingData)))
  inputs <- if (is.null(model$trainingData)) model$finalModel$xNames else setdiff(names(model$trainingData), ".outcome")
  setdiff(inputs, model$preProcess$method$remove)
}

#' @export
model_levels.train <- function(model) {
  if (!is.null(model$terms)) return(model$xlevels)
  Filter(Negate(is.null), lapply(model$trainingData[setdiff(names(model$trainingData), ".outcome")], levels))
}

#' @export
model_response.train <- function(model) if (is.null(model$terms)) ".outcome" else formula_response(model)

# What a model class must say of itself. A new class is one new file with methods for these generics,
# for the class that comes first in class(model): a class that only inherits from a known one may predict otherwise.

# The kinds of answer, the default first: a list of their labels by "number", "probability", "class", "link", "se",
# "confidence", "prediction", "risk", "expected" or "survival".
answer_kinds <- function(model) {
  supported <- sub("^answers[.]", "", grep("^answers[.]", ls(asNamespace("canari")), value = TRUE))
  if (!class(model)[[1L]] %in% supported) {
    refuse(
      "a model of class ", quoted(class(model)[[1L]]), " cannot be saved; the supported classes are ", quoted(supported)
    )
  }
  UseMethod("answer_kinds")
}

# R's predictions, a data frame with one row for each of `rows`: column `prediction`, or `class` and one for each level,
# or the columns that ?save_model names for the other kinds. `arguments` are for predict().
answers <- function(model, type, rows, arguments) UseMethod("answers")

# The names of the arguments for predict() that a person may give.
predict_arguments <- function(model) UseMethod("predict_arguments")

#' @export
predict_arguments.default <- function(model) character()

# The names of the columns that predict() needs, among `columns` where the model itself cannot tell.
model_inputs <- function(model, columns) UseMethod("model_inputs")

# The levels that categorical inputs had in training: a list by input.
model_levels <- function(model) UseMethod("model_levels")

# The names of the columns that hold the response, where the model knows them.
model_response <- function(model) UseMethod("model_response")

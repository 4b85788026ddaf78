# Clusters of kmeans(), which has no predict(): the nearest centre.

#' @export
answer_kinds.kmeans <- function(model) list(class = as.character(seq_len(nrow(model$centers))))

# Of equally near centres the first; none for a row with a missing value.
#' @export
answers.kmeans <- function(model, type, rows, arguments) {
  distances <- lapply(seq_len(ncol(model$centers)), function(i) {
    outer(rows[[colnames(model$centers)[[i]]]], model$centers[, i], "-")^2
  })
  nearest <- apply(Reduce(`+`, distances), 1L, function(row) if (anyNA(row)) NA_integer_ else which.min(row))
  data.frame(class = as.character(nearest))
}

#' @export
model_inputs.kmeans <- function(model, columns) {
  if (is.null(colnames(model$centers))) {
    refuse("the model does not hold the names of its columns; cluster a data frame, or a matrix with names")
  }
  colnames(model$centers)
}

#' @export
model_levels.kmeans <- function(model) list()

#' @export
model_response.kmeans <- function(model) character()

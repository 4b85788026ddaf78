#' canari: save a fitted model for production
#'
#' [save_model()] writes what `canari import` needs: the model, rows of raw
#' inputs and R's own predictions on them.
#'
#' @keywords internal
"_PACKAGE"

# R's own predictions on the person's rows and on the probes.

# A function from raw rows to predictions that is sure to answer each row.
predictor_of <- function(model, type, preprocess, arguments) {
  function(rows) {
    prepared <- rows
    if (!is.null(preprocess)) {
      prepared <- preprocess(rows)
      if (!is.data.frame(prepared) || nrow(prepared) != nrow(rows)) {
        refuse("preprocess() must return a data frame with as many rows as it is given")
      }
    }
    predictions <- answers(model, type, prepared, arguments)
    if (nrow(predictions) != nrow(rows)) {
      refuse("predict() returned ", nrow(predictions), " predictions for ", nrow(rows), " rows")
    }
    predictions
  }
}

# Predictions on all rows; refuses, naming the rows, where predict() fails.
predict_all <- function(predictor, rows) {
  tryCatch(predictor(rows), error = function(whole) {
    reasons <- vapply(seq_len(nrow(rows)), function(i) {
      tryCatch({
        suppressWarnings(predictor(rows[i, , drop = FALSE]))
        ""
      }, error = conditionMessage)
    }, "")
    failed <- which(nzchar(reasons))
    reason <- if (length(failed)) reasons[[failed[[1L]]]] else conditionMessage(whole)
    where <- if (length(failed) %in% c(0L, nrow(rows))) {
      ""
    } else {
      paste0(", row ", paste(utils::head(failed, 5L), collapse = ", "), if (length(failed) > 5L) " and others")
    }
    refuse("cannot predict `rows`", where, ": ", reason)
  })
}

# The rows that predict() can answer, and its predictions on them.
predict_possible <- function(predictor, rows) {
  suppressWarnings({
    predictions <- tryCatch(predictor(rows), error = function(e) NULL)
    if (!is.null(predictions)) return(list(rows = rows, predictions = predictions))
    each <- lapply(seq_len(nrow(rows)), function(i) {
      tryCatch(predictor(rows[i, , drop = FALSE]), error = function(e) NULL)
    })
  })
  answered <- !vapply(each, is.null, NA)
  list(rows = rows[answered, , drop = FALSE], predictions = do.call(rbind, each[answered]))
}

bind_rows <- function(first, second) {
  if (is.null(second) || nrow(second) == 0L) return(first)
  both <- rbind(first, second)
  rownames(both) <- NULL
  both
}

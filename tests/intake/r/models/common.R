# What the scripts beside this one share. Each is run as `Rscript SCRIPT FOLDER`, with this folder as the current one, and
# writes, for each model that it fits, NAME.rds (a bundle) and NAME.tsv (R's predictions in 17 digits).
quietly <- function(...) {
  for (package in c(...)) suppressWarnings(suppressPackageStartupMessages(library(package, character.only = TRUE)))
}
quietly("splines", "MASS")
folder <- commandArgs(TRUE)[[1]]
options(warn = -1)
set.seed(20)

write_model <- function(name, model, rows, predict_rows, type, labels = character()) {
  given <- rows
  # Each column missing in turn, in the first and in the last row; numbers beyond the ends of their range.
  probes <- do.call(rbind, lapply(names(rows), function(column) {
    probe <- rows[c(1, nrow(rows)), , drop = FALSE]
    probe[[column]] <- probe[[column]][NA_integer_]
    if (is.double(rows[[column]])) {
      beyond <- rows[c(1, nrow(rows)), , drop = FALSE]
      span <- diff(range(rows[[column]], na.rm = TRUE))
      beyond[[column]] <- range(rows[[column]], na.rm = TRUE) + c(-span, span) / 3
      probe <- rbind(probe, beyond)
    }
    probe
  }))
  answered <- vapply(seq_len(nrow(probes)), function(i) {
    !inherits(try(predict_rows(probes[i, , drop = FALSE]), silent = TRUE), "try-error")
  }, NA)
  probes <- probes[answered, , drop = FALSE]
  rows <- rbind(given, probes)
  rownames(rows) <- NULL
  predictions <- predict_rows(rows)
  if (!is.data.frame(predictions)) predictions <- data.frame(prediction = as.vector(predictions))
  bundle <- list(
    format = 1L, model = model, preprocess = NULL, rows = rows,
    probe = rep(c(FALSE, TRUE), c(nrow(given), nrow(probes))), predictions = predictions,
    type = type, labels = labels, name = gsub("[^a-z0-9]+", "-", tolower(name)), metrics = list(), units = character(),
    session = list(R = as.character(getRversion()), packages = c(MASS = "7")), created = "2026-01-01T00:00:00Z"
  )
  saveRDS(structure(bundle, class = "canari_model"), file.path(folder, paste0(name, ".rds")))
  write_predictions(name, predictions)
}

# A model with its rows, by the package's own door.
saved <- function(name, model, rows, ...) {
  path <- file.path(folder, paste0(name, ".rds"))
  canari::save_model(model, rows, path = path, ...)
  write_predictions(name, readRDS(path)$predictions)
}

# In 17 digits, for a reader that knows nothing of .rds.
write_predictions <- function(name, predictions) {
  digits <- lapply(predictions, function(x) if (is.numeric(x)) sprintf("%.17g", x) else as.character(x))
  table <- data.frame(digits, check.names = FALSE)
  write.table(table, file.path(folder, paste0(name, ".tsv")), sep = "\t", quote = FALSE, row.names = FALSE, na = "NA")
}

inputs_of <- function(model, data) {
  data[intersect(names(data), c(all.vars(delete.response(terms(model))), all.vars(model$call$offset)))]
}

linear <- function(name, model, data, new = data) {
  write_model(name, model, inputs_of(model, new), function(rows) predict(model, rows), "number")
}

generalized <- function(name, model, data, new = data, type = "number", labels = character()) {
  rows <- inputs_of(model, new)
  write_model(name, model, rows, function(rows) predict(model, rows, type = "response"), type, labels)
}

# A model that canari refuses, and words of the reason: NAME.rds and NAME.txt in a folder of their own.
refused <- function(name, model, rows, reason, type = "number") {
  bundle <- list(
    format = 1L, model = model, preprocess = NULL, rows = rows, probe = rep(FALSE, nrow(rows)),
    predictions = data.frame(prediction = rep(0, nrow(rows))), type = type, labels = character(), name = "refused",
    metrics = list(), units = character(), session = list(R = "4", packages = character()), created = "2026-01-01T00:00:00Z"
  )
  dir.create(file.path(folder, "refused"), showWarnings = FALSE)
  saveRDS(structure(bundle, class = "canari_model"), file.path(folder, "refused", paste0(name, ".rds")))
  writeLines(reason, file.path(folder, "refused", paste0(name, ".txt")))
}

# --- data

cars <- transform(
  mtcars,
  cyl_f = factor(cyl), gear_f = factor(gear), carb_o = ordered(pmin(carb, 4)), automatic = am == 1,
  maker = substr(rownames(mtcars), 1, 1), gears = as.integer(gear), power = as.integer(hp), wt2 = wt * 2
)
cars$maker[!cars$maker %in% c("M", "H", "T")] <- "other"
housing <- transform(Boston, chas = as.integer(chas))
air <- transform(airquality, month = factor(Month))

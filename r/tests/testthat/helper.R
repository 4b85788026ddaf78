# Saves to a temporary file and reads it back.
saved <- function(model, rows, ..., file = "model.rds") {
  folder <- tempfile("canari-")
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE))
  path <- file.path(folder, file)
  save_model(model, rows, ..., path = path)
  expect_identical(list.files(folder, all.files = TRUE, no.. = TRUE), file)
  readRDS(path)
}

# A path that save_model() shall leave unwritten.
unwritten <- function() tempfile(fileext = ".rds")

probes_of <- function(bundle) bundle$rows[bundle$probe, , drop = FALSE]

people <- function(n = 40) {
  i <- seq_len(n)
  data.frame(
    age = as.integer(20 + (i * 7) %% 50),
    weight = 50 + (i * 13) %% 37 + 0.5,
    smoker = i %% 4 == 0,
    town = factor(c("Bern", "Genf", "Zug")[1 + i %% 3], c("Zug", "Bern", "Genf")),
    stage = factor(c("low", "mid", "high")[1 + (i %/% 2) %% 3], c("low", "mid", "high"), ordered = TRUE),
    job = c("clerk", "smith")[1 + (i %/% 5) %% 2],
    pressure = 100 + i + (i * 31) %% 17
  )
}

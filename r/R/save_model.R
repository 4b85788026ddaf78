# The package's one door: save_model().

#' Save a fitted model for canari
#'
#' Writes one `.rds` file with the model, rows of raw inputs and R's own
#' predictions on them. `canari import` translates the model and compares every
#' one of these predictions with its own before it registers anything.
#'
#' To your rows `save_model()` adds *probes*, made from a typical row: every
#' level of each categorical input, each input missing, the ends of each range
#' and values beyond them, and random mixtures of your rows. Rows of that kind
#' on which `predict()` raises an error are left out. The state of the random
#' number generator is left as it was.
#'
#' The file holds the model as it is: `glm()` and `lm()` keep the data they were
#' fitted to, and a formula written inside a function keeps all of that
#' function's variables. A warning names the largest parts of a large file.
#'
#' @param model A fitted model of class `lm`, `glm` (also `negbin` of
#'   `MASS::glm.nb()`) or `randomForest`.
#' @param rows A data frame of raw inputs, as production will send them: some
#'   tens to some hundreds of rows, for instance the test set. Columns may be
#'   numeric, integer, logical, character or factor. Columns that the model does
#'   not use, and the response, are dropped.
#' @param preprocess A function from raw rows to the data frame that
#'   `predict()` is given, one row for each; `NULL` where the model takes the raw
#'   rows. With a function, every column of `rows` but the response is an input.
#' @param path The file to write, ending in `.rds`. It appears whole or not at
#'   all.
#' @param name The model's name: at most 63 of `a-z`, `0-9`, `-`, `_` and `.`.
#'   By default it is made from the file's name.
#' @param type The kind of answer. `"number"`: the expected response, of `lm`, of
#'   `glm` but the binomial, of regression forests. `"probability"`: of
#'   the second level, of a binomial `glm` and, on request, of a two-level
#'   classification forest, so that the one can replace the other. `"class"`:
#'   the level and the probability of each, of classification forests. `NULL`
#'   takes the model's own kind.
#' @param metrics A named list of numbers to keep with the model, such as
#'   `list(auc = 0.84)`.
#' @param units The inputs' units, a named character vector such as
#'   `c(glu = "mg/dL")`.
#' @param arguments A named list of further arguments for `predict()`, such as
#'   `list(s = 0.01)` of a `glmnet`. What a class takes is in its section.
#' @return The path, invisibly.
#' @examples
#' fit <- glm(am ~ wt + log(hp), binomial, mtcars)
#' path <- file.path(tempdir(), "manual-gear.rds")
#' save_model(fit, mtcars, path = path, units = c(wt = "1000 lb"))
#' str(readRDS(path)$predictions)
#' @export
save_model <- function(model, rows, preprocess = NULL, path, name = NULL, type = NULL, metrics = NULL, units = NULL,
                       arguments = NULL) {
  check_path(path)
  if (!is.null(preprocess) && !is.function(preprocess)) {
    refuse("`preprocess`: expected a function or NULL, got ", kind_of(preprocess))
  }
  kinds <- answer_kinds(model)
  type <- check_type(type, kinds, model)
  arguments <- check_arguments(arguments, predict_arguments(model), model)
  raw <- raw_inputs(model, rows, preprocess)
  name <- check_name(name, path)
  metrics <- check_metrics(metrics)
  units <- check_units(units, names(raw))

  bundle <- with_fixed_seed({
    predictor <- predictor_of(model, type, preprocess, arguments)
    given <- predict_all(predictor, raw)
    probes <- predict_possible(predictor, make_probes(raw, model_levels(model)))
    structure(
      list(
        format = 1L,
        model = model,
        preprocess = preprocess,
        rows = bind_rows(raw, probes$rows),
        probe = rep(c(FALSE, TRUE), c(nrow(raw), nrow(probes$rows))),
        predictions = bind_rows(given, probes$predictions),
        type = type,
        labels = kinds[[type]],
        arguments = arguments,
        name = name,
        metrics = metrics,
        units = units,
        session = session_of(model),
        created = format(Sys.time(), "%Y-%m-%dT%H:%M:%SZ", tz = "UTC")
      ),
      class = "canari_model"
    )
  })
  warn_if_heavy(bundle)
  write_whole(bundle, path)
  invisible(path)
}

# Writes beside the target and renames, so that no reader meets half a file.
write_whole <- function(bundle, path) {
  part <- tempfile(paste0(".", basename(path), "-"), tmpdir = dirname(path))
  on.exit(unlink(part))
  written <- tryCatch({
    saveRDS(bundle, part)
    file.rename(part, path)
  }, error = function(e) refuse("cannot write ", path, ": ", conditionMessage(e)))
  if (!written) refuse("cannot write ", path)
}

# Evaluates `code` with the same random numbers every time and puts the caller's generator back.
with_fixed_seed <- function(code) {
  before <- get0(".Random.seed", globalenv(), inherits = FALSE)
  on.exit(
    if (is.null(before)) {
      rm(".Random.seed", envir = globalenv())
    } else {
      assign(".Random.seed", before, globalenv())
    }
  )
  set.seed(20231, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")
  code
}

# R's version and those of the attached packages and of the ones that predict for the model's classes.
session_of <- function(model) {
  predicts <- vapply(class(model), function(class) {
    method <- utils::getS3method("predict", class, optional = TRUE)
    if (is.null(method)) "stats" else environmentName(topenv(environment(method)))
  }, "")
  used <- setdiff(c(.packages(), predicts, "canari"), rownames(utils::installed.packages(.Library, "base")))
  used <- sort(unique(used[nzchar(used) & used != "R_GlobalEnv"]))
  list(
    R = as.character(getRversion()),
    packages = vapply(used, function(package) as.character(utils::packageVersion(package)), "")
  )
}

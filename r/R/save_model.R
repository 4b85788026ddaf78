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
#' @param model A fitted model of class `lm` (also with several
#'   responses), `aov`, `glm` (also `negbin` of
#'   `MASS::glm.nb()`), `randomForest`, `rpart`, `ranger`, `gbm`,
#'   `glmnet`, `cv.glmnet`, `svm`, `naiveBayes`, `nnet`, `multinom`, `lda`, `qda`,
#'   `polr`, `rlm`, `gam`, `bam`, `coxph`, `survreg`, `earth`, `loess`, `nls`,
#'   `kmeans` or `train` of caret.
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
#' @param type The kind of answer; `NULL` takes the model's own kind. `"number"`:
#'   the expected response, of regressions. `"probability"`: of the second of two
#'   levels, of a binomial `glm` and, on request, of a two-level classifier, so
#'   that the one can replace the other. `"class"`: the level and, where `predict()`
#'   has them, the probability of each. `"link"`: the linear predictor. `"se"`,
#'   `"confidence"` and `"prediction"`: the section *Standard errors and
#'   intervals*. `"risk"`, `"expected"` and `"survival"`: the section *Survival*.
#' @param metrics A named list of numbers to keep with the model, such as
#'   `list(auc = 0.84)`.
#' @param units The inputs' units, a named character vector such as
#'   `c(glu = "mg/dL")`.
#' @param arguments A named list of further arguments for `predict()`, such as
#'   `list(s = 0.01)` of a `glmnet`. What a class takes is in its section.
#' @section Standard errors and intervals:
#' `"se"` answers the columns `prediction` and `se` of `predict(se.fit = TRUE)`,
#' of a `glm` on the scale of the response. `"confidence"` and `"prediction"`
#' answer `prediction`, `lower` and `upper`, with `level = 0.95` unless
#' `arguments` say otherwise: of `lm` as `predict(interval = )` does, which takes
#' the variance of a new observation for constant, also after a weighted fit,
#' unless `arguments` give `weights` or `pred.var`, one number. `predict()` of a
#' `glm` knows no intervals; its `"confidence"` is the inverse link of the linear
#' predictor plus and minus normal quantiles times its standard error, the
#' smaller end first.
#' @section Trees and forests:
#' A `rpart` of method `"class"`, a `ranger` with `probability = TRUE` and a
#' multinomial `gbm` answer `"class"`, of two levels also `"probability"`; of the
#' latter two the class is the most probable one, as their `predict()` names
#' none. A `ranger` for classification answers the class alone. `gbm` answers
#' `"link"` too (of `coxph` only that), and a `"probability"` for the
#' distributions `bernoulli` and `adaboost`. `arguments` are `num.trees` of
#' `ranger`, `n.trees` of `gbm`, by default as many as its `predict()` takes, and
#' `cutoff` of a `randomForest` for classification.
#' @section Classifiers, discriminants and networks:
#' `multinom`, `lda`, `qda`, `polr`, `naiveBayes` and an `nnet` for a factor answer
#' `"class"`, of two levels also `"probability"`; an `nnet` for numbers and `rlm`
#' answer `"number"`. An `svm` answers its class by votes, as `predict()` does, and
#' the probabilities where it was fitted with `probability = TRUE`. `arguments` are
#' `prior` and `method` of `lda` and `qda`, `dimen` of `lda`, `threshold` and `eps`
#' of `naiveBayes`. Of a model fitted to a matrix that holds no names for its
#' columns, such as an `nnet`, `rows` has exactly these columns, in their order.
#' @section Elastic nets:
#' A `glmnet` with several lambdas needs `arguments = list(s = )`; a `cv.glmnet`
#' takes `"lambda.1se"` unless `s` is `"lambda.min"` or a number. A relaxed fit
#' takes `gamma` too. The binomial family answers `"probability"`, `"class"` or
#' `"link"`, the multinomial `"class"`, `cox` `"risk"` or `"link"`. All columns of
#' the matrix are inputs. A fit with an offset is refused.
#' @section Additive models, splines and curves:
#' `gam` and `bam` of `mgcv`, and the `$gam` of `gamm()`, answer as a `glm` does,
#' with `"link"` and `"se"`; of `bam(discrete = TRUE)` the answer is that of
#' `predict(discrete = FALSE)`, which does not depend on the other rows. An `earth`
#' answers `"number"`, of several responses one column each; of a factor `"class"`
#' too, with a binomial `glm` in it `"probability"`. `loess`, in one variable, and
#' `nls` answer `"number"`. A `kmeans`, which has no `predict()`, answers as its
#' `"class"` the number of the nearest centre, of equally near ones the first.
#' @section Models of caret:
#' A `train` answers what `predict()` does, `"number"` or `"class"`, with the
#' probabilities where `type = "prob"` has them. Its `preProcess` is part of the
#' model. Rows with a missing value are answered where `preProcess` imputes
#' medians, or the final model takes them without a formula.
#' @section Survival:
#' `coxph` answers `"link"` (the `"lp"` of `predict()`), `"risk"`, `"expected"` and
#' `"survival"`; for the latter two `rows` hold the variables of `Surv()` too. Its
#' argument `reference` is that of `predict()`. What depends on the strata of the
#' rows that it was fitted to needs a fit with `x = TRUE` or, with one `strata()`,
#' `model = TRUE`. `survreg` answers `"number"`, the `"response"` of `predict()`, or
#' `"link"`.
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

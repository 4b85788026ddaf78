# What save_model() is given, checked: each refusal is one sentence.

refuse <- function(...) stop(..., call. = FALSE)

quoted <- function(names) paste0("'", names, "'", collapse = ", ")

kind_of <- function(x) paste("an object of class", quoted(class(x)))

check_path <- function(path) {
  if (!is.character(path) || length(path) != 1L || is.na(path) || tolower(tools::file_ext(path)) != "rds") {
    refuse("`path`: expected the name of one file ending in .rds, got ", paste(format(path), collapse = ", "))
  }
  if (!dir.exists(dirname(path))) refuse("`path`: there is no folder ", dirname(path))
}

check_type <- function(type, kinds, model) {
  if (is.null(type)) return(names(kinds)[[1L]])
  if (!is.character(type) || length(type) != 1L || !type %in% names(kinds)) {
    refuse(
      "`type`: this ", class(model)[[1L]], " model answers ", paste0('"', names(kinds), '"', collapse = " or "),
      ", got ", paste(deparse(type), collapse = " ")
    )
  }
  type
}

# The names that canari's model store takes.
NAME <- "^[a-z0-9]([-._a-z0-9]{0,61}[a-z0-9])?$"

check_name <- function(name, path) {
  from_file <- is.null(name)
  if (from_file) {
    stem <- gsub("[^-._a-z0-9]+", "-", tolower(tools::file_path_sans_ext(basename(path))))
    name <- gsub("^[-._]+|[-._]+$", "", substr(stem, 1L, 63L))
  }
  if (!is.character(name) || length(name) != 1L || !grepl(NAME, name)) {
    refuse(
      "`name`: expected at most 63 of a-z, 0-9, '-', '_' and '.', beginning and ending with a letter or digit, ",
      if (from_file) "which the file's name does not yield; give one" else paste("got", paste(deparse(name), collapse = " "))
    )
  }
  name
}

is_named <- function(x) length(x) == 0L || (!is.null(names(x)) && all(nzchar(names(x))) && !anyDuplicated(names(x)))

check_metrics <- function(metrics) {
  metrics <- as.list(metrics)
  if (!is_named(metrics)) refuse("`metrics`: expected numbers with a name each, such as list(auc = 0.84)")
  for (metric in names(metrics)) {
    value <- metrics[[metric]]
    if (!is.numeric(value) || length(value) != 1L || !is.finite(value)) {
      refuse("`metrics`: expected one finite number for '", metric, "', got ", paste(deparse(value), collapse = " "))
    }
    metrics[[metric]] <- as.double(value)
  }
  metrics
}

check_arguments <- function(arguments, known, model) {
  arguments <- as.list(arguments)
  if (!is_named(arguments)) refuse("`arguments`: expected a list with a name each, such as list(s = 0.01)")
  if (length(unknown <- setdiff(names(arguments), known))) {
    refuse(
      "`arguments`: predict() of a model of class ", quoted(class(model)[[1L]]), " is not given ", quoted(unknown),
      if (length(known)) paste0("; it takes ", quoted(known)) else " here: it takes none"
    )
  }
  arguments
}

check_units <- function(units, inputs) {
  units <- unlist(as.list(units))
  if (is.null(units)) return(character())
  if (!is.character(units) || anyNA(units) || !is_named(units)) {
    refuse('`units`: expected texts with a name each, such as c(glu = "mg/dL")')
  }
  if (length(unknown <- setdiff(names(units), inputs))) {
    refuse("`units`: no such input: ", quoted(unknown), "; the inputs are ", quoted(inputs))
  }
  units
}

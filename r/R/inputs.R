# Which columns of a person's rows a model takes, and whether they are of a kind that can be served.

# The columns of `rows` that are inputs, as a plain data frame.
raw_inputs <- function(model, rows, preprocess) {
  if (!is.data.frame(rows)) refuse("`rows`: expected a data frame of raw inputs, got ", kind_of(rows))
  rows <- as.data.frame(rows)
  rownames(rows) <- NULL
  if (nrow(rows) == 0L) refuse("`rows`: expected at least one row, got none")
  if (anyDuplicated(names(rows))) refuse("`rows`: two columns are called ", quoted(unique(names(rows)[duplicated(names(rows))])))

  if (is.null(preprocess)) {
    inputs <- model_inputs(model, names(rows))
    if (length(inputs) == 0L) refuse("the model takes no inputs, so there is nothing to serve")
    if (length(missing <- setdiff(inputs, names(rows)))) {
      refuse("`rows` lacks variables of the model: ", quoted(missing), "; it has ", quoted(names(rows)))
    }
  } else {
    inputs <- setdiff(names(rows), model_response(model))
  }
  inputs <- intersect(names(rows), inputs)
  rows <- rows[inputs]
  for (input in inputs) check_column(rows[[input]], input)
  if (is.null(preprocess)) as_fitted(rows, model_levels(model)) else rows
}

check_column <- function(column, name) {
  plain <- is.atomic(column) && is.null(dim(column)) && !is.object(column) &&
    typeof(column) %in% c("logical", "integer", "double", "character")
  if (!plain && !is.factor(column)) {
    refuse(
      "`rows`: column '", name, "' is ", kind_of(column), "; expected numeric, integer, logical, character or factor"
    )
  }
}

# Gives factors the model's levels in the model's order; other levels stay where a row has them.
as_fitted <- function(rows, levels) {
  for (input in intersect(names(rows)[vapply(rows, is.factor, NA)], names(levels))) {
    column <- rows[[input]]
    rows[[input]] <- factor(column, union(levels[[input]], levels(droplevels(column))), ordered = is.ordered(column))
  }
  rows
}

# Variables of a model with a formula. Names that it takes from its own environment, such as constants, are no inputs.
formula_inputs <- function(model, columns, data, observations) {
  variables <- attr(stats::delete.response(stats::terms(model)), "variables")
  if ("$" %in% all.names(variables)) {
    refuse("the model's formula takes columns with `$`: fit it as lm(y ~ x, data = d), not as lm(d$y ~ d$x)")
  }
  names <- union(all.vars(variables), all.vars(model$call$offset))
  is_constant <- function(name) {
    if (name %in% names(data) || (is.null(data) && name %in% columns)) return(FALSE)
    value <- find_value(name, attr(model$terms, ".Environment"))
    is.atomic(value) && length(value) > 0L && length(value) != observations
  }
  names[!vapply(names, is_constant, NA)]
}

# The value of a variable in an environment or those around it, attached packages but base left out; NULL for none.
find_value <- function(name, environment) {
  while (is.environment(environment) && !identical(environment, emptyenv())) {
    attached <- startsWith(environmentName(environment), "package:")
    if (!attached && exists(name, environment, inherits = FALSE)) {
      # An argument that was not given exists and has no value.
      return(tryCatch(get(name, environment, inherits = FALSE), error = function(e) NULL))
    }
    environment <- parent.env(environment)
  }
  NULL
}

# The `data` of the model's call as far as it is still there, else NULL.
training_data <- function(model) {
  around <- attr(model$terms, ".Environment")
  data <- tryCatch(
    eval(model$call$data, if (is.environment(around)) around else globalenv()),
    error = function(e) NULL
  )
  if (is.list(data)) data
}

# Names in the response's expression.
formula_response <- function(model) {
  terms <- stats::terms(model)
  if (attr(terms, "response") == 0L) return(character())
  all.vars(attr(terms, "variables")[[1L + attr(terms, "response")]])
}

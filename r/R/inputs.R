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

# Gives factors the model's levels in the model's order, and then those that only rows have. A factor with others between
# them, unused, keeps its own order, by which as.integer() counts; those at its end are left out.
as_fitted <- function(rows, levels) {
  for (input in intersect(names(rows)[vapply(rows, is.factor, NA)], names(levels))) {
    column <- rows[[input]]
    known <- union(levels[[input]], levels(droplevels(column)))
    last <- max(0L, match(known, levels(column)), na.rm = TRUE)
    own <- levels(column)[seq_len(last)]
    rows[[input]] <- factor(column, if (all(own %in% known)) known else union(own, known), ordered = is.ordered(column))
  }
  rows
}

# Variables of a model with a formula. Names that it takes from its own environment, such as constants, are no inputs;
# those of the global environment do not come into the file.
formula_inputs <- function(model, columns, data, observations) {
  terms <- stats::delete.response(stats::terms(model))
  # With what the fit has put in the place of some arguments, such as the knots of a spline.
  variables <- attr(terms, "predvars")
  if (is.null(variables)) variables <- attr(terms, "variables")
  if ("$" %in% all.names(variables)) {
    refuse("the model's formula takes columns with `$`: fit it as lm(y ~ x, data = d), not as lm(d$y ~ d$x)")
  }
  around <- attr(model$terms, ".Environment")
  refuse_global_functions(variables, around)
  if ("C" %in% all.names(variables)) variables <- without_contrasts(variables)
  names <- union(all.vars(variables), all.vars(model$call$offset))
  is_constant <- function(name) {
    if (name %in% names(data) || (is.null(data) && name %in% columns)) return(FALSE)
    home <- find_home(name, around)
    if (is.null(home)) return(FALSE)
    # An argument that was not given exists and has no value.
    value <- tryCatch(get(name, home, inherits = FALSE), error = function(e) NULL)
    constant <- is.atomic(value) && length(value) > 0L && length(value) != observations
    if (constant && identical(home, globalenv())) {
      refuse(
        "the formula takes '", name, "' from the global environment, which is not saved with the model: write its value into ",
        "the formula, or fit the model in a function that has it as a variable, local({ ... })"
      )
    }
    constant
  }
  names[!vapply(names, is_constant, NA)]
}

# A person's own function comes into the file where the formula was written inside a function, and else does not.
refuse_global_functions <- function(variables, around) {
  for (name in setdiff(all.names(variables), all.vars(variables))) {
    if (identical(find_home(name, around, "function"), globalenv())) {
      refuse(
        "the formula calls ", name, "(), a function of the global environment, which is not saved with the model: compute its ",
        "column before, or fit the model in a function that has it as a variable, local({ ... })"
      )
    }
  }
}

# C(f, sum) names contrasts, not a variable.
without_contrasts <- function(expression) {
  if (!is.call(expression)) return(expression)
  if (identical(expression[[1L]], quote(C))) expression <- expression[1:2]
  as.call(lapply(expression, without_contrasts))
}

# The environment that has a variable, among `environment` and those around it but attached packages; NULL for none.
find_home <- function(name, environment, mode = "any") {
  while (is.environment(environment) && !identical(environment, emptyenv())) {
    if (!grepl("^package:", environmentName(environment)) && exists(name, environment, mode = mode, inherits = FALSE)) {
      return(environment)
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

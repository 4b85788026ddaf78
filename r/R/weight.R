# What makes a file heavy.

HEAVY <- 10 * 2^20
DRAGGED <- 2^20

# Warns, naming the largest parts, of a large bundle and of one with much from the environments of its functions.
warn_if_heavy <- function(bundle) {
  total <- length(serialize(bundle, NULL))
  environments <- c(
    environment_sizes(attr(bundle$model$terms, ".Environment"), "the formula's environment"),
    if (is.function(bundle$preprocess)) environment_sizes(environment(bundle$preprocess), "preprocess's environment")
  )
  if (total <= HEAVY && sum(environments) <= DRAGGED) return(invisible())
  parts <- c(sizes(unclass(bundle$model), "model"), c(rows = size(bundle$rows)), environments)
  parts <- utils::head(sort(parts[parts > 0], decreasing = TRUE), 4L)
  warning(
    "the model takes ", megabytes(total), " uncompressed, most of it: ",
    paste0(names(parts), " (", megabytes(parts), ")", collapse = ", "),
    if (sum(environments) > DRAGGED) "; what a function's environment holds goes into the file: fit at top level to leave it out",
    call. = FALSE
  )
}

size <- function(x) as.double(utils::object.size(x))

sizes <- function(parts, of) stats::setNames(vapply(parts, size, 0), paste0(of, "$", names(parts)))

# The objects of an environment and of those around it, as far as they are written into a file.
environment_sizes <- function(environment, of) {
  found <- numeric()
  while (is.environment(environment) && !is_by_reference(environment)) {
    # An argument that was not given has no value, and no size.
    found <- c(found, vapply(ls(environment, all.names = TRUE), function(name) {
      tryCatch(size(get(name, environment)), error = function(e) 0)
    }, 0))
    environment <- parent.env(environment)
  }
  stats::setNames(found, sprintf("'%s' in %s", names(found), rep(of, length(found))))
}

# Whether R writes only the name of this environment.
is_by_reference <- function(environment) {
  isNamespace(environment) || identical(environment, globalenv()) || identical(environment, emptyenv()) ||
    identical(environment, baseenv()) || grepl("^(package|imports):", environmentName(environment))
}

megabytes <- function(bytes) sprintf("%.1f MB", bytes / 2^20)

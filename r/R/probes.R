# Probes: rows that a person's own seldom contain, on which a translated model may go wrong unseen.

MIXTURES <- 25L

# `rows` are the person's, whose factors have all levels; `levels`, by input, are those that the model knows.
make_probes <- function(rows, levels) {
  typical <- as.data.frame(lapply(rows, typical_value), optional = TRUE, stringsAsFactors = FALSE)
  names(typical) <- names(rows)
  varied <- lapply(names(rows), function(input) {
    values <- unusual_values(rows[[input]], levels[[input]])
    probes <- typical[rep(1L, length(values)), , drop = FALSE]
    probes[[input]] <- values
    probes
  })
  mixed <- lapply(rows, function(column) column[sample.int(length(column), MIXTURES, replace = length(column) < MIXTURES)])
  mixed <- as.data.frame(mixed, optional = TRUE, stringsAsFactors = FALSE)
  names(mixed) <- names(rows)
  probes <- unique(do.call(rbind, c(list(typical), varied, list(mixed))))
  rownames(probes) <- NULL
  probes
}

# The median, or the most frequent value.
typical_value <- function(column) {
  known <- column[!is.na(column)]
  if (length(known) == 0L) return(column[1L])
  if (is.integer(column)) return(as.integer(round(stats::median(known))))
  if (is.numeric(column)) return(stats::median(known))
  known[[which.max(tabulate(match(known, known)))]]
}

# Of a categorical input every level, of a number the ends of its range and beyond (and the levels of a number
# that the formula makes a factor); and a missing value.
unusual_values <- function(column, levels) {
  missing <- column[NA_integer_]
  if (is.factor(column)) return(factor(c(levels(column), NA), levels(column), ordered = is.ordered(column)))
  if (is.character(column)) return(c(union(levels, unique(column[!is.na(column)])), missing))
  if (is.logical(column)) return(c(FALSE, TRUE, NA))
  known <- column[is.finite(column)]
  if (length(known) == 0L) return(missing)
  ends <- as.double(range(known))
  span <- if (ends[[1L]] < ends[[2L]]) ends[[2L]] - ends[[1L]] else 1
  values <- c(ends, ends[[1L]] - span, ends[[2L]] + span, suppressWarnings(as.double(levels)), NA)
  if (is.integer(column)) as.integer(pmax(pmin(values, .Machine$integer.max), -.Machine$integer.max)) else values
}

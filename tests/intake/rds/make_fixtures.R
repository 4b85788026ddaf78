# Writes the fixtures of test_reader.py into a directory: values as saveRDS writes them in each of its forms, and beside them
# what R itself says that they are. Usage: Rscript make_fixtures.R DIRECTORY

directory <- commandArgs(trailingOnly = TRUE)[1]
in_directory <- function(name) file.path(directory, name)

latin1 <- "fa\xe7ade"
Encoding(latin1) <- "latin1"
bytes <- "\xe9 raw"
Encoding(bytes) <- "bytes"

vectors <- list(
  integer = c(1L, NA, -5L, .Machine$integer.max),
  compact = 1:10,
  decreasing = 10:1,
  real_sequence = 2147483648:2147483652,
  quiet_na = c(NA, NaN, NA_real_ + 1, 0 / 0),
  double = c(1 / 3, NA, NaN, Inf, -Inf, 1e-300, 5e-324, -0, 123456789.125),
  logical = c(TRUE, NA, FALSE),
  complex = complex(real = c(1, NA, -2.5), imaginary = c(0.1, 3, Inf)),
  raw = as.raw(c(0, 127, 255)),
  text = c("a", NA, "", "caf\u00e9", "\u6f22\u5b57", latin1, "tab\tline\nquote\"back\\slash", "a b"),
  deferred_integer = as.character(c(1:5, NA)),
  deferred_double = as.character(c(1e5, 123456, 0.1, 1e15, 1e-5, 123456789012, 1 / 3, 1e300, -2.5, NA, NaN, -Inf, 0, 1e-15, 0.00012, 25)),
  wrapped = sort(as.numeric(100:1)),
  empty_text = character(0),
  empty_double = double(0)
)

number <- function(x) ifelse(is.na(x) & !is.nan(x), "NA", ifelse(is.nan(x), "NaN", sprintf("%.17g", x)))
code_points <- function(x) if (is.na(x)) "NA" else paste(c("u", utf8ToInt(enc2utf8(x))), collapse = ",")
as_text <- function(x) {
  switch(typeof(x),
    character = vapply(x, code_points, ""),
    complex = paste0(number(Re(x)), "_", number(Im(x))),
    raw = as.character(as.integer(x)),
    number(as.numeric(x))
  )
}
lines <- vapply(names(vectors), function(name) {
  x <- vectors[[name]]
  paste(c(name, typeof(x), as_text(x)), collapse = ";")
}, "")
# as_text has expanded the compact forms, so those are made anew for the files.
vectors$wrapped <- sort(as.numeric(100:1))
vectors$deferred_integer <- as.character(c(1:5, NA))
vectors$deferred_double <- as.character(c(1e5, 123456, 0.1, 1e15, 1e-5, 123456789012, 1 / 3, 1e300, -2.5, NA, NaN, -Inf, 0, 1e-15, 0.00012, 25))
writeLines(lines, in_directory("vectors.txt"))

for (version in 3:2) {
  for (compression in c("gzip", "bzip2", "xz")) {
    saveRDS(vectors, in_directory(sprintf("vectors_%s_%d.rds", compression, version)), compress = compression, version = version)
  }
  saveRDS(vectors, in_directory(sprintf("vectors_none_%d.rds", version)), compress = FALSE, version = version)
  saveRDS(vectors, in_directory(sprintf("vectors_ascii_%d.rds", version)), ascii = TRUE, version = version)
  saveRDS(vectors, in_directory(sprintf("vectors_hexadecimal_%d.rds", version)), ascii = NA, version = version)
  connection <- file(in_directory(sprintf("vectors_native_%d.rds", version)), "wb")
  serialize(vectors, connection, xdr = FALSE, version = version)
  close(connection)
}

cyclic <- new.env()
cyclic$itself <- cyclic
compiled <- compiler::cmpfun(
  function(x, y = 2) {
    for (i in 1:10) x <- x + y
    inner <- function(z) z^2 + x
    if (x > 1) inner(x) else -x
  },
  options = list(optimize = 3)
)
with_promise <- (function(unforced) environment())(stop("not run"))
setClass("point", representation(x = "numeric", label = "character"))
others <- list(
  call = quote(poly(x, degree = 3)),
  mixed_call = quote(f(1, b = 2, c)),
  compiled = compiled,
  plain_function = structure(function(a, ...) NULL, srcref = NULL),
  compiled_twice = compiled,
  symbol = quote(x),
  namespace = asNamespace("stats"),
  base_namespace = .BaseNamespaceEnv,
  global = globalenv(),
  base = baseenv(),
  empty = emptyenv(),
  cyclic = cyclic,
  cyclic_again = cyclic,
  promise = with_promise,
  builtin = sum,
  special = quote,
  symbol_after = quote(later),
  expression = expression(a + b, 3),
  factor = factor(c("lo", NA, "hi"), levels = c("lo", "hi")),
  matrix = matrix(1:6 / 2, 2, dimnames = list(NULL, c("p", "q", "r"))),
  s4 = new("point", x = 3, label = "three"),
  null = NULL,
  named = c(a = 1, b = 2),
  bytes = bytes,
  frame = data.frame(n = 1:3, t = c("x", "y", "z")),
  pairlist = pairlist(one = 1, 2),
  formula = y ~ log(x) + z
)
environment(others$plain_function) <- globalenv()
environment(others$formula) <- globalenv()
saveRDS(vectors[c("compact", "double", "text", "empty_double")], in_directory("peer.rds"))
saveRDS(others, in_directory("others.rds"))
saveRDS(others, in_directory("others_ascii.rds"), ascii = TRUE)

# What functions leave behind: a formula, a function and the environments that they were made in.
make_formula <- function(data, k, unused, constant = 7) {
  force(list(data, k, constant)) # as a fit does
  inner <- function() {
    own <- "inner"
    y ~ I(x^k)
  }
  inner()
}
counter <- local({
  count <- 0L
  itself <- environment()
  hidden <- function() count
  hidden
})
hashed <- list2env(list(first = 1:3, second = "two", third = NULL), hash = TRUE, parent = emptyenv())
frame_only <- new.env(hash = FALSE, parent = hashed)
frame_only$first <- "nearer"
delayedAssign("later", stop("not run"), assign.env = frame_only)
delayedAssign("literal", 3.5, assign.env = frame_only)
lockEnvironment(hashed, bindings = TRUE)
finalized <- new.env()
attr(finalized, "note") <- "kept"
class(finalized) <- "holder"
environments <- list(
  formula = make_formula(data.frame(x = 1:4 / 2), k = 1 + 2, unused = stop("not run")),
  counter = counter,
  hashed = hashed,
  frame_only = frame_only,
  finalized = finalized
)
environments$formula_again <- environments$formula
for (form in c("binary", "ascii")) {
  # An environment whose parent is the global one: everything else of this script stays outside.
  saveRDS(environments, in_directory(sprintf("environments_%s.rds", form)), ascii = form == "ascii")
}

# Workspaces in each of their forms; of native binary data only a connection can be given.
small <- list(x = 1:3)
model <- lm(dist ~ speed, cars[1:6, ], model = FALSE)
environment(model$terms) <- globalenv()
text <- "a"
for (version in 3:2) {
  for (compression in c("gzip", "bzip2", "xz")) {
    save(small, model, text, file = in_directory(sprintf("several_%s_%d.RData", compression, version)), compress = compression, version = version)
  }
  save(small, model, text, file = in_directory(sprintf("several_none_%d.RData", version)), compress = FALSE, version = version)
  save(small, model, text, file = in_directory(sprintf("several_ascii_%d.RData", version)), ascii = TRUE, version = version)
  connection <- file(in_directory(sprintf("several_native_%d.RData", version)), "wb")
  writeBin(charToRaw(sprintf("RDB%d\n", version)), connection)
  serialize(pairlist(small = small, model = model, text = text), connection, xdr = FALSE, version = version)
  close(connection)
}
save(vectors, file = in_directory("workspace.RData"))
save(list = character(0), file = in_directory("nothing.RData"))

# Random linear models: `Rscript random_formulas.R FOLDER FIRST COUNT` fits one for each seed from FIRST on, saves it with
# rows that it has not seen, and writes for each SEED.rds, SEED.tsv (R's predictions in 17 digits) and SEED.txt: the call,
# the kind of answer, a bound of R's own rounding error, and why save_model() refused, if it did.
# What R itself cannot fit or predict is drawn again.
suppressPackageStartupMessages({
  library(splines)
  library(MASS)
})
given <- commandArgs(TRUE)
folder <- given[[1]]
seeds <- as.integer(given[[2]]) + seq_len(as.integer(given[[3]])) - 1L
options(warn = -1)

pick <- function(...) {
  from <- list(...)
  from[[sample.int(length(from), 1L)]]
}
chance <- function(share) runif(1) < share
one_of <- function(names) names[[sample.int(length(names), 1L)]]

# --- rows

rows_of <- function(n, spread = 1) {
  hide <- function(x, share) replace(x, runif(length(x)) < share, NA)
  levelled <- function(levels, ...) factor(sample(levels, n, TRUE), levels = levels, ...)
  data.frame(
    x = exp(rnorm(n, 0, 0.5 * spread)),
    y = hide(rnorm(n, 3, 2 * spread), 0.04),
    z = runif(n, -1, 4) * 1000 * spread,
    i = sample(0:9, n, TRUE),
    j = hide(sample(c(-60000:60000), n, TRUE), 0.03),
    k = sample(c(2L, 4L, 8L), n, TRUE),
    p = runif(n) < 0.5,
    q = hide(runif(n) < 0.3, 0.05),
    f = levelled(c("b", "a", "c")),
    g = hide(levelled(c("low", "mid level", "high", "none"))[sample.int(n)], 0.03),
    u = factor(sample(c("red", "blue"), n, TRUE), levels = c("red", "green", "blue")),
    o = levelled(c("I", "II", "III", "IV"), ordered = TRUE),
    h = hide(levelled(as.character(1:6), ordered = TRUE), 0.02),
    s = sample(c("north", "south", "East"), n, TRUE),
    t = hide(sample(c("yes", "no"), n, TRUE), 0.03),
    stringsAsFactors = FALSE
  )
}
numbers <- c("x", "y", "z", "i", "j", "k")
small <- c("x", "y", "i", "k")
logicals <- c("p", "q")
factors <- c("f", "g", "u", "o", "h")
texts <- c("s", "t")
groups <- c(factors, texts, logicals)

# --- a grammar of formulas

value <- function() format(round(runif(1, 0.2, 6), 1))
number <- function() {
  v <- one_of(numbers)
  w <- one_of(small)
  pick(
    v, v, v, v, v,
    sprintf("I(%s^2)", v), sprintf("I(%s * %s)", v, w), sprintf("I(%s + %s)", v, w), sprintf("I(%s - %s)", w, value()),
    sprintf("I(%s / (%s^2 + 1))", v, w), sprintf("I(i * j)"), sprintf("I(j^2)"), sprintf("I(j * j)"), sprintf("I(-%s)", v),
    sprintf("log(abs(%s) + 1)", v), sprintf("log1p(%s^2)", w), sprintf("log2(x)"), sprintf("log10(k)"), sprintf("log(x, 3)"),
    sprintf("sqrt(abs(%s))", v), sprintf("exp(-abs(%s))", w), sprintf("expm1(%s / 10)", w), sprintf("abs(%s)", v),
    sprintf("sin(%s)", w), sprintf("cos(%s / 3)", w), sprintf("tanh(%s)", w), sprintf("atan(%s)", v),
    sprintf("floor(%s)", v), sprintf("ceiling(%s)", w), sprintf("trunc(%s)", w), sprintf("round(%s)", w),
    sprintf("round(%s, 1)", w), sprintf("signif(%s, 2)", v), sprintf("sign(%s - %s)", w, value()),
    sprintf("(%s %%%% 3)", w), sprintf("I(j %%/%% 7L)"), sprintf("I(%s %%%% %s)", w, value()),
    sprintf("pmin(%s, %s)", v, value()), sprintf("pmax(%s, %s, %s)", w, one_of(small), value()),
    sprintf("pmin(y, x, na.rm = TRUE)"),
    sprintf("ifelse(%s, %s, %s)", truth(), w, value()), sprintf("ifelse(is.na(y), 0, y)"),
    sprintf("as.numeric(%s)", one_of(c(factors, logicals, "i"))), sprintf("as.integer(%s)", w), sprintf("as.integer(%s)", one_of(factors)),
    sprintf("as.numeric(as.character(h))"), sprintf("nchar(%s)", one_of(texts)),
    sprintf("findInterval(%s, c(0, 1, 3))", w), sprintf("cut(%s, c(-Inf, 1, 3, Inf), labels = FALSE)", w),
    sprintf("saturated(%s)", w), sprintf("saturated(%s, half = knee)", w), sprintf("pmin(%s, knee)", w), sprintf("I(%s > knee)", w),
    sprintf("rowSums(cbind(%s, x))", w), sprintf("scale(%s)", v), sprintf("scale(%s, scale = FALSE)", v), sprintf("atan2(%s, x)", w), sprintf("plogis(%s)", w)
  )
}
basis <- function() {
  v <- one_of(c("x", "y", "z", "j"))
  pick(
    sprintf("poly(%s, %d)", v, sample.int(4L, 1L)), sprintf("poly(%s, degree = 2, raw = TRUE)", one_of(c("x", "y"))),
    sprintf("poly(x, y, degree = 2)"), sprintf("ns(%s, %d)", v, sample.int(4L, 1L)), sprintf("ns(%s, knots = c(1, 2))", "x"),
    sprintf("bs(%s, df = %d)", v, 3L + sample.int(3L, 1L)), sprintf("bs(%s, degree = 2)", v), sprintf("splines::ns(%s, 2)", v),
    sprintf("scale(cbind(x, z))"), sprintf("poly(log(x), 2)"), sprintf("ns(sqrt(abs(%s)), 2)", v)
  )
}
truth <- function() {
  v <- one_of(numbers)
  pick(
    sprintf("%s > %s", v, value()), sprintf("%s <= %s", v, one_of(small)), sprintf("%s == 4", "k"), sprintf("i != 3L"),
    sprintf("%s == \"%s\"", "f", one_of(c("a", "b"))), sprintf("s != \"south\""), sprintf("g %%in%% c(\"low\", \"high\")"),
    sprintf("i %%in%% 2:5"), sprintf("is.na(%s)", one_of(c("y", "q", "t", "g"))), sprintf("!%s", one_of(logicals)),
    sprintf("p & q"), sprintf("q | x > 1"), sprintf("xor(p, q)"), sprintf("(x > 1 & y < 4) | p"), sprintf("!(i > 2L & q)"),
    sprintf("x > 0.5 & x < 2"), sprintf("o >= \"II\""), sprintf("h < \"4\"")
  )
}
grouping <- function() {
  v <- one_of(groups)
  pick(
    v, v, v, v, v, v, v,
    sprintf("factor(%s)", one_of(c("i", "k", "s", "p"))), sprintf("as.factor(%s)", one_of(c("k", "t"))), sprintf("ordered(k)"),
    sprintf("I(%s)", truth()), sprintf("(%s)", truth()), sprintf("cut(%s, c(-Inf, 0.5, 2, Inf))", one_of(small)),
    sprintf("cut(i, edges)"), sprintf("dplyr::case_when(x > 2 ~ \"big\", p ~ \"small\", TRUE ~ \"other\")"), sprintf("dplyr::if_else(q, s, f_text(f))"),
    sprintf("cut(x, c(0, 1, 2.55, 100), include.lowest = TRUE, labels = c(\"l\", \"m\", \"h\"))"),
    sprintf("relevel(f, ref = \"c\")"), sprintf("interaction(f, p)"), sprintf("factor(f, levels = c(\"c\", \"b\", \"a\"))"),
    sprintf("C(f, sum)"), sprintf("C(o, contr.helmert)"), sprintf("as.character(f)"), sprintf("toupper(s)"), sprintf("substr(s, 1, 1)"),
    sprintf("paste(s, f)"), sprintf("paste0(t, \"-\", p)"), sprintf("factor(h, ordered = FALSE)"), sprintf("droplevels(u)"),
    sprintf("ifelse(%s, \"one\", \"other\")", truth()), sprintf("factor(i > 4, labels = c(\"few\", \"many\"))")
  )
}
atom <- function() pick(number, number, number, grouping, grouping, basis)()
term <- function() {
  pick(
    atom(), atom(), atom(), atom(),
    paste(atom(), grouping(), sep = ":"), paste(number(), number(), sep = ":"), paste(atom(), "*", grouping()),
    paste(number(), "*", number()), paste(grouping(), "/", atom()), paste(number(), "%in%", grouping()),
    sprintf("(%s + %s + %s)^2", number(), grouping(), number()), sprintf("(%s + %s)^2", grouping(), atom()),
    sprintf("%s:%s:%s", grouping(), number(), one_of(logicals))
  )
}
formula_of <- function(response) {
  terms <- vapply(seq_len(sample.int(4L, 1L)), function(i) term(), "")
  if (chance(0.08)) terms <- c(".", terms[chance(0.5)])
  right <- paste(terms, collapse = " + ")
  if (chance(0.15)) right <- paste(right, "-", one_of(c(numbers, groups)))
  if (chance(0.1)) right <- paste0(right, " - ", one_of(numbers), ":", one_of(groups))
  if (chance(0.15)) right <- paste(right, pick("- 1", "+ 0"))
  if (chance(0.12)) right <- paste0(right, " + offset(", pick("log(x)", "x / 10", "ifelse(p, 0.1, x)", "0.001 * z"), ")")
  # As of a formula that was written inside a function.
  around <- list2env(list(knee = 2.5, edges = c(-1, 2, 5, 9)), parent = globalenv())
  local({
    saturated <- function(v, half = 1) v^2 / (v^2 + half)
    f_text <- function(v) as.character(v)
  }, around)
  stats::as.formula(paste(response, "~", right), env = around)
}

# --- models

coding <- function(data) {
  levels <- function(name) nlevels(droplevels(data[[name]]))
  chosen <- sample(c("f", "o", "g"), sample.int(2L, 1L))
  stats::setNames(lapply(chosen, function(name) {
    n <- levels(name)
    pick("contr.sum", "contr.helmert", "contr.poly", "contr.SAS", contr.sum, contr.treatment(n, base = n),
      contr.treatment(n, contrasts = TRUE), matrix(rnorm(n * (n - 1)), n), contr.poly(n))
  }), chosen)
}

# Some of the arguments that fit a model otherwise.
options_of <- function(data) {
  chosen <- list()
  if (chance(0.25)) chosen$weights <- quote(x + 1)
  if (chance(0.15)) chosen$subset <- pick(quote(i > 1), quote(z < 3500), quote(p | x > 0.7))
  if (chance(0.1)) chosen$offset <- pick(quote(x / 5), quote(log(x + 2)))
  if (chance(0.1)) chosen$na.action <- quote(na.exclude)
  if (chance(0.2)) chosen$contrasts <- coding(data)
  chosen
}

families <- list(
  binomial = c("logit", "probit", "cauchit", "cloglog"), gaussian = c("identity", "log"), Gamma = c("inverse", "log", "identity"),
  inverse.gaussian = c("1/mu^2", "log", "inverse"), poisson = c("log", "sqrt", "identity"), quasibinomial = c("logit", "probit"),
  quasipoisson = c("log", "sqrt")
)

draw <- function() {
  data <- rows_of(sample(c(60L, 120L, 200L), 1L))
  base <- with(data, 0.5 * x + ifelse(is.na(y), 1, y) / 4 + (f == "a") + as.integer(o) / 4 + p * (s == "north"))
  n <- nrow(data)
  chosen <- options_of(data)
  if (chance(0.1)) contrasts(data$f) <- pick(contr.sum(3), "contr.helmert", contr.treatment(3, base = 2))
  if (chance(0.5)) {
    data$r <- base + rnorm(n) / 2 + 5
    call <- as.call(c(list(quote(lm), formula = formula_of(pick("r", "r", "r", "log(r^2)", "sqrt(abs(r))")), data = quote(data)), chosen))
    type <- pick("number", "number", "number", "se", "confidence", "prediction")
  } else {
    family <- one_of(names(families))
    link <- one_of(families[[family]])
    data$r <- switch(family,
      binomial = , quasibinomial = rbinom(n, 1L, plogis(base - 2)),
      poisson = , quasipoisson = rpois(n, abs(base)),
      gaussian = abs(base + rnorm(n) / 3) + 1,
      base + rgamma(n, 3) + 0.5
    )
    if (family == "binomial" && chance(0.4)) {
      data$r <- pick(data$r == 1, factor(data$r, labels = c("no", "yes")))
    }
    chosen$family <- call(family, link)
    call <- as.call(c(list(quote(glm), formula = formula_of("r"), data = quote(data)), chosen))
    type <- pick(NULL, NULL, "link", "se", "confidence", "number")
  }
  model <- eval(call)
  unseen <- rows_of(30L, pick(1, 1.7))
  if (chance(0.2)) unseen$x[1:2] <- c(0, 1e9)
  # What R itself answers in all cases.
  stats::predict(model, unseen[1:3, ])
  list(call = call, model = model, rows = unseen, type = type)
}

# A bound of the relative error in R's own sums.
own_error <- function(drawn) {
  tryCatch({
    terms <- stats::delete.response(stats::terms(drawn$model))
    frame <- stats::model.frame(terms, drawn$rows, na.action = stats::na.pass, xlev = drawn$model$xlevels)
    matrix <- stats::model.matrix(terms, frame, contrasts.arg = drawn$model$contrasts)
    known <- !is.na(drawn$model$coefficients)
    beta <- drawn$model$coefficients[known]
    matrix <- matrix[, known, drop = FALSE]
    terms_size <- abs(matrix) %*% abs(beta)
    errors <- terms_size / pmax(1, abs(matrix %*% beta))
    condition <- kappa(qr.R(drawn$model$qr)[seq_len(drawn$model$rank), seq_len(drawn$model$rank), drop = FALSE], exact = TRUE)
    max(errors[is.finite(errors)], if (is.null(drawn$type) || drawn$type %in% c("number", "link")) 0 else condition, 0) * .Machine$double.eps
  }, error = function(e) NA_real_)
}

answer <- function(seed) {
  set.seed(seed)
  path <- function(ending) file.path(folder, paste0(seed, ending))
  for (attempt in 1:200) {
    drawn <- tryCatch(draw(), error = function(e) NULL)
    if (is.null(drawn)) next
    refused <- tryCatch({
      canari::save_model(drawn$model, drawn$rows, path = path(".rds"), type = drawn$type)
      ""
    }, error = conditionMessage)
    # Of a row, or with a kind of answer, that R does not predict.
    if (startsWith(refused, "cannot predict") || grepl("takes no inputs", refused)) next
    writeLines(c(
      gsub("\\s+", " ", paste(deparse(drawn$call), collapse = " ")), if (is.null(drawn$type)) "usual" else drawn$type,
      format(own_error(drawn)), gsub("\\s+", " ", refused)
    ), path(".txt"))
    if (!nzchar(refused)) {
      predictions <- readRDS(path(".rds"))$predictions
      digits <- lapply(predictions, function(x) sprintf("%.17g", x))
      utils::write.table(data.frame(digits), path(".tsv"), sep = "\t", quote = FALSE, row.names = FALSE, na = "NA")
    }
    return(invisible())
  }
  stop("seed ", seed, ": no model in 200 attempts")
}

for (seed in seeds) answer(seed)

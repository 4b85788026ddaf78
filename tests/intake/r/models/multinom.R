# Multinomial logistic regressions of the package nnet.
source("common.R")
quietly("nnet")

fitted_quietly <- function(...) multinom(..., trace = FALSE, maxit = 60)
births <- transform(
  birthwt,
  race = factor(race, labels = c("white", "black", "other")), low = factor(low, labels = c("no", "yes")),
  visits = factor(pmin(ftv, 2), labels = c("none", "one", "more")), smoked = smoke == 1, ptl = ordered(pmin(ptl, 2))
)
saved("multinom-three", fitted_quietly(race ~ age + lwt + low, births), births)
saved("multinom-numbers", fitted_quietly(Species ~ ., iris), rbind(iris[seq(1, 150, 3), 1:4], iris[c(1, 99, 150), 1:4] * 30))
saved("multinom-interaction", fitted_quietly(visits ~ age * race + smoked:lwt + ptl, births), births)
saved("multinom-functions", fitted_quietly(visits ~ poly(age, 2) + log(lwt) + ns(bwt, 3), births), births)
saved("multinom-no-intercept", fitted_quietly(visits ~ race + age - 1, births), births)
saved("multinom-contrasts", fitted_quietly(visits ~ race + age, births, contrasts = list(race = "contr.sum")), births)
saved("multinom-decay", fitted_quietly(visits ~ race + age, births, decay = 0.1), births)
saved("multinom-weights", multinom(Sat ~ Infl + Type + Cont, weights = Freq, data = MASS::housing, trace = FALSE), MASS::housing)
saved("multinom-two", fitted_quietly(low ~ age + race + lwt, births), births)
saved("multinom-two-probability", fitted_quietly(low ~ age + race * smoked, births), births, type = "probability")
saved("multinom-two-numbers", fitted_quietly(smoke ~ age + lwt, births), births)
saved("multinom-logical", fitted_quietly(smoked ~ age + lwt, births), births)
saved("multinom-one-row", fitted_quietly(race ~ age + lwt, births), births[7, ])
saved("multinom-text", fitted_quietly(maker ~ wt + gear_f, cars), cars)
saved("multinom-empty-level", fitted_quietly(factor(race, levels = c("white", "green", "black", "other")) ~ age, births), births)
saved("multinom-na-in-training", fitted_quietly(month ~ Ozone + Temp, air), air)
saved("multinom-collinear", fitted_quietly(race ~ age + I(2 * age) + lwt, births), births)
counts <- data.frame(x = 1:20, g = factor(rep(c("a", "b"), 10)), low = rpois(20, 5) + 1, mid = rpois(20, 8), high = rpois(20, 3))
saved("multinom-counts", fitted_quietly(cbind(low, mid, high) ~ x + g, counts), counts)
saved("multinom-counts-of-two", fitted_quietly(cbind(low, mid) ~ x + g, counts), counts)
saved("multinom-counts-unnamed", fitted_quietly(unname(as.matrix(counts[3:5])) ~ x, counts), counts)
saved("multinom-censored", fitted_quietly(cbind(low, mid, high) > 4 ~ x, counts, censored = TRUE), counts)
# All classes are nearly as probable everywhere, so that R draws at random.
saved("multinom-ties", fitted_quietly(g ~ x, data.frame(g = factor(rep(c("a", "b", "c"), 20)), x = rep(1:20, each = 3))), data.frame(x = 1:20 + 0))

offsets <- local({ counts$o <- matrix(rnorm(60), 20); fitted_quietly(cbind(low, mid, high) ~ x + offset(o), counts) })
refused("multinom-offset", offsets, counts, "fitted with an offset", type = "class")
refused("multinom-probability-of-three", fitted_quietly(race ~ age, births), births, "answers class, not probability", type = "probability")

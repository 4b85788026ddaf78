# Ordinal regressions of the package MASS.
source("common.R")

homes <- MASS::housing
logistic <- polr(Sat ~ Infl + Type + Cont, weights = Freq, data = homes)
for (method in c("probit", "loglog", "cloglog", "cauchit")) {
  assign(method, polr(Sat ~ Infl + Type + Cont, weights = Freq, data = homes, method = method, start = c(coef(logistic), logistic$zeta)))
}
saved("polr", logistic, homes)
saved("polr-probit", probit, homes)
saved("polr-loglog", loglog, homes)
saved("polr-cloglog", cloglog, homes)
saved("polr-cauchit", cauchit, homes)
saved("polr-interaction", polr(Sat ~ Infl * Type + Cont, weights = Freq, data = homes, Hess = TRUE), homes)
graded <- transform(
  housing[seq(1, 506, 3), ],
  grade = cut(medv, c(0, 16, 21, 25, 60), labels = c("d", "c", "b", "a"), ordered_result = TRUE),
  zone = factor(pmin(rad, 6)), river = chas == 1
)
far <- rbind(graded[1:60, ], transform(graded[1:4, ], lstat = lstat * c(-40, 40, 5, 9)))
saved("polr-numbers", polr(grade ~ lstat + I(rm^2), graded), far)
saved("polr-numbers-probit", polr(grade ~ lstat + I(tax / 100), graded, method = "probit"), far)
saved("polr-numbers-cauchit", polr(grade ~ lstat, graded, method = "cauchit"), far)
saved("polr-numbers-loglog", polr(grade ~ lstat, graded, method = "loglog"), far)
saved("polr-functions", polr(grade ~ poly(lstat, 2) + scale(tax) + ns(dis, 2), graded), graded)
saved("polr-interaction-number", polr(grade ~ zone * lstat + river, graded), graded)
saved("polr-offset", polr(grade ~ rm + offset(-lstat / 10), graded), graded)
saved("polr-one-row", logistic, homes[9, ])
saved("polr-without-model", polr(grade ~ lstat, graded, model = FALSE), graded)
saved("polr-na-in-training", polr(cut(Ozone, c(0, 20, 60, 200)) ~ Temp, airquality), airquality)

dropped <- polr(grade ~ lstat + I(2 * lstat) + tax, graded)
refused("polr-dropped", dropped, graded, "the formula makes 4 columns", type = "class")
refused("polr-probability", logistic, homes, "answers class, not probability", type = "probability")

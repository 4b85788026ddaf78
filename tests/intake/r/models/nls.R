# Nonlinear least squares.
source("common.R")

saved("nls", nls(mpg ~ a + b * exp(-wt / c), mtcars, start = list(a = 5, b = 40, c = 2)), mtcars)
saved("nls-port", nls(mpg ~ a * wt^b + k * log(hp), mtcars, start = list(a = 30, b = -0.5, k = 0), algorithm = "port", lower = -50), mtcars)
saved("nls-weights", nls(log(mpg) ~ log(a + b / wt), mtcars, start = list(a = 1, b = 40), weights = qsec, subset = cyl > 4), mtcars)
saved("nls-logical", nls(mpg ~ a + b * automatic + k * wt^2, cars, start = list(a = 30, b = 1, k = -1)), cars)
within_function <- function() {
  scale <- 1000
  nls(mpg ~ a + b * exp(-wt * 1000 / scale), mtcars, start = list(a = 5, b = 40))
}
saved("nls-constant", within_function(), mtcars)
formula_of <- mpg ~ a + b / wt
saved("nls-formula", nls(formula_of, mtcars, start = list(a = 1, b = 40)), mtcars)

# --- self-starting

tree <- subset(Loblolly, Seed == "301")
saved("nls-asymp", nls(height ~ SSasymp(age, Asym, R0, lrc), tree), tree)
leaf <- subset(CO2, Plant == "Qn1")
saved("nls-asymp-offset", nls(uptake ~ SSasympOff(conc, Asym, lrc, c0), leaf), leaf)
saved("nls-asymp-origin", nls(height ~ SSasympOrig(age, Asym, lrc), tree), tree)
dose <- subset(Indometh, Subject == 1)
saved("nls-biexp", nls(conc ~ SSbiexp(time, A1, lrc1, A2, lrc2), dose), dose)
saved("nls-fol", nls(conc ~ SSfol(Dose, Time, lKe, lKa, lCl), subset(Theoph, Subject == 1)), subset(Theoph, Subject == 1))
chick <- subset(ChickWeight, Chick == 1)
saved("nls-fpl", nls(weight ~ SSfpl(Time, A, B, xmid, scal), chick), chick)
saved("nls-logis", nls(weight ~ SSlogis(Time, Asym, xmid, scal), chick), chick)
saved("nls-gompertz", nls(density ~ SSgompertz(log(conc), Asym, b2, b3), subset(DNase, Run == 1)), subset(DNase, Run == 1))
enzyme <- subset(Puromycin, state == "treated")
saved("nls-micmen", nls(rate ~ SSmicmen(conc, Vm, K), enzyme), enzyme)
growing <- subset(ChickWeight, Chick == 6 & Time > 0)
saved("nls-weibull", nls(weight ~ SSweibull(Time, Asym, Drop, lrc, pwr), growing), growing)

refused("nls-plinear", nls(mpg ~ cbind(1, exp(-wt / c)), mtcars, start = list(c = 2), algorithm = "plinear"), mtcars, "plinear")
refused("nls-index", nls(mpg ~ a[cyl_f] + b / wt, cars, start = list(a = c(1, 1, 1), b = 30)), cars, "'cyl_f', which is of class 'factor'")
own <- function(x, a) a * x
refused("nls-own", nls(mpg ~ own(1 / wt, a), mtcars, start = list(a = 40)), mtcars, "own()")

# Parametric survival models of survival.
source("common.R")
quietly("survival")

people <- transform(na.omit(lung[c("time", "status", "age", "sex", "ph.ecog", "wt.loss")]), gender = factor(sex, labels = c("male", "female")))
few <- people[seq(1, nrow(people), 4), ]

saved("survreg", survreg(Surv(time, status) ~ age + gender * wt.loss, people), few)
saved("survreg-link", survreg(Surv(time, status) ~ ns(age, 3) + gender, people), few, type = "link")
saved("survreg-exponential", survreg(Surv(time / 100, status) ~ age + gender, people, dist = "exponential"), few)
saved("survreg-rayleigh", survreg(Surv(time / 100, status) ~ age + gender, people, dist = "rayleigh"), few)
saved("survreg-loggaussian", survreg(Surv(time / 100, status) ~ age + gender, people, dist = "loggaussian"), few)
saved("survreg-lognormal", survreg(Surv(time / 100, status) ~ age + gender, people, dist = "lognormal"), few)
saved("survreg-loglogistic", survreg(Surv(time / 100, status) ~ age + gender, people, dist = "loglogistic"), few)
saved("survreg-extreme", survreg(Surv(time / 100, status) ~ age + gender, people, dist = "extreme"), few)
saved("survreg-gaussian", survreg(Surv(time / 100, status) ~ age + gender, people, dist = "gaussian"), few)
saved("survreg-logistic", survreg(Surv(time / 100, status) ~ age + gender, people, dist = "logistic"), few)
saved("survreg-t", survreg(Surv(time / 100, status) ~ age + gender, people, dist = "t"), few)
saved("survreg-strata", survreg(Surv(time, status) ~ age + strata(gender), people), few)
saved("survreg-offset", survreg(Surv(time, status) ~ gender + offset(age / 30), people), few)
saved("survreg-weights", survreg(Surv(time, status) ~ factor(ph.ecog) + cluster(sex), people, weights = age), few)
saved("survreg-interval", survreg(Surv(time, time + 30, type = "interval2") ~ age, people, dist = "weibull"), few)
saved("survreg-no-intercept", survreg(Surv(time, status) ~ 0 + gender + age, people), few)
saved("survreg-scale", survreg(Surv(time, status) ~ age, people, scale = 1), few)

refused("survreg-redundant", survreg(Surv(time, status) ~ age + I(2 * age), people), few, "coefficient that is NA")
own <- survreg.distributions$weibull
own$name <- "mine"
refused("survreg-own", survreg(Surv(time, status) ~ age, people, dist = own), few, "of a person's own")
refused("survreg-penalty", survreg(Surv(time, status) ~ pspline(age), people), few, "survreg.penal")

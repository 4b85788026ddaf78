# Cox's proportional hazards models of survival.
source("common.R")
quietly("survival")

people <- transform(
  na.omit(lung[c("time", "status", "age", "sex", "ph.ecog", "wt.loss", "inst")]),
  gender = factor(sex, labels = c("male", "female")), ecog = factor(ph.ecog), old = age > 65, ward = paste0("ward ", inst %% 3)
)
few <- people[seq(1, nrow(people), 4), ]
few$time <- few$time + c(0, 0.5, -400, 2000)

# --- linear predictor and risk

saved("coxph", coxph(Surv(time, status) ~ age + gender + ecog, people), few)
saved("coxph-risk", coxph(Surv(time, status) ~ age * gender + ns(wt.loss, 3), people), few, type = "risk")
saved("coxph-breslow", coxph(Surv(time, status == 2) ~ poly(age, 2) + ward + old, people, ties = "breslow"), few, type = "risk")
saved("coxph-exact", coxph(Surv(ceiling(time / 60), status) ~ age + sex, people, ties = "exact"), few)
saved("coxph-weights", coxph(Surv(time, status) ~ age + gender, people, weights = ph.ecog + 1), few)
saved("coxph-offset", coxph(Surv(time, status) ~ gender + offset(age / 30), people), few)
saved("coxph-zero", coxph(Surv(time, status) ~ gender + age, people), few, arguments = list(reference = "zero"))
saved("coxph-zero-offset", coxph(Surv(time, status) ~ gender + wt.loss + offset(age / 30), people, model = TRUE), few, arguments = list(reference = "zero"))
saved("coxph-redundant", coxph(Surv(time, status) ~ age + I(2 * age) + gender, people), few)
saved("coxph-cluster", coxph(Surv(time, status) ~ age + gender + cluster(inst), people), few)
saved("coxph-robust", coxph(Surv(time, status) ~ age + gender, people, robust = TRUE, subset = age > 50), few, type = "risk")
saved("coxph-contrasts", { options(contrasts = c("contr.sum", "contr.poly")); coxph(Surv(time, status) ~ gender + ordered(ph.ecog), people) }, few)
options(contrasts = c("contr.treatment", "contr.poly"))
saved("coxph-one", coxph(Surv(time, status) ~ age, people), few[1, "age", drop = FALSE])

# --- strata

saved("coxph-strata", coxph(Surv(time, status) ~ age + wt.loss + strata(gender), people, model = TRUE), few)
saved("coxph-strata-x", coxph(Surv(time, status) ~ age + wt.loss + strata(sex), people, x = TRUE), few, type = "risk")
saved("coxph-strata-weights", coxph(Surv(time, status) ~ age + strata(sex, ward), people, weights = ph.ecog + 1, x = TRUE), few)
saved("coxph-strata-offset", coxph(Surv(time, status) ~ wt.loss + strata(old) + offset(age / 30), people, x = TRUE, model = TRUE), few)
saved("coxph-strata-sample", coxph(Surv(time, status) ~ age + wt.loss + strata(gender), people), few, arguments = list(reference = "sample"))
saved("coxph-strata-zero", coxph(Surv(time, status) ~ age + wt.loss + strata(gender), people, x = TRUE), few, arguments = list(reference = "zero"))
saved("coxph-strata-expression", coxph(Surv(time, status) ~ wt.loss + strata(age > 60, gender), people, x = TRUE), few)

# --- with the baseline hazard

saved("coxph-expected", coxph(Surv(time, status) ~ age + gender + ecog, people), few, type = "expected")
saved("coxph-survival", coxph(Surv(time, status) ~ age + gender + ecog, people), few, type = "survival")
saved("coxph-expected-breslow", coxph(Surv(time / 30, status == 2) ~ age + gender, people, ties = "breslow"), few, type = "expected")
saved("coxph-expected-ties", coxph(Surv(ceiling(time / 60), status) ~ age + gender, people, weights = ph.ecog + 1), few, type = "expected")
saved("coxph-expected-exact", coxph(Surv(ceiling(time / 60), status) ~ age + gender, people, ties = "exact"), few, type = "expected")
saved("coxph-expected-offset", coxph(Surv(time, status) ~ gender + offset(age / 30), people), few, type = "expected")
saved("coxph-expected-strata", coxph(Surv(time, status) ~ age + strata(gender), people, x = TRUE), few, type = "expected")
saved("coxph-survival-strata", coxph(Surv(time, status) ~ age + strata(sex) + strata(old), people, x = TRUE), few, type = "survival")
saved("coxph-named", coxph(Surv(event = status, time = time) ~ age, people), few, type = "survival")
hearts <- transform(heart, transplant = factor(transplant, labels = c("no", "yes")))
some <- hearts[seq(1, nrow(hearts), 3), ]
some$stop[1:5] <- some$start[1:5]
saved("coxph-counting", coxph(Surv(start, stop, event) ~ age + year + transplant, hearts), some, type = "risk")
saved("coxph-counting-expected", coxph(Surv(start, stop, event) ~ age + year + transplant, hearts), some, type = "expected")
saved("coxph-counting-strata", coxph(Surv(start, stop, event) ~ age + strata(transplant), hearts, x = TRUE, ties = "breslow"), some, type = "survival")

refused("coxph-strata-unknown", coxph(Surv(time, status) ~ age + strata(gender), people), few, "reference = \"sample\"", type = "link")
refused("coxph-without-times", coxph(Surv(time, status) ~ age, people, y = FALSE), few, "y = TRUE", type = "expected")
refused("coxph-tt", coxph(Surv(time, status) ~ age + tt(age), people, tt = function(x, t, ...) x * log(t)), few, "tt()", type = "link")
refused("coxph-frailty", coxph(Surv(time, status) ~ age + frailty(inst), people), few, "coxph.penal", type = "link")
refused("coxph-ridge", coxph(Surv(time, status) ~ ridge(age, wt.loss, theta = 1), people), few, "coxph.penal", type = "link")
refused("coxph-null", coxph(Surv(time, status) ~ strata(gender), people), few, "coxph.null", type = "link")
refused("coxph-interaction", coxph(Surv(time, status) ~ age * strata(gender), people), few, "interaction of strata()", type = "link")
refused("coxph-offset-unknown", coxph(Surv(time, status) ~ age + strata(gender) + offset(wt.loss / 20), people, x = TRUE), few, "model = TRUE", type = "link")
refused("coxph-column", coxph(outcome ~ age, { people$outcome <- with(people, Surv(time, status)); people }), few, "not written as Surv", type = "expected")

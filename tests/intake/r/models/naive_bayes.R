# Naive Bayes classifiers of the package e1071.
source("common.R")
quietly("e1071")

births <- transform(
  birthwt,
  race = factor(race, labels = c("white", "black", "other")), low = factor(low, labels = c("no", "yes")),
  smoked = smoke == 1, visits = ordered(pmin(ftv, 2)), town = c("Bern", "Genf", "Zug")[1 + bwt %% 3]
)
columns <- c("race", "smoked", "visits", "town", "age", "lwt")
far <- rbind(iris[seq(1, 150, 3), 1:4], iris[c(1, 99), 1:4] * 20, as.data.frame(lapply(iris[1:4], function(x) seq(0, 30, length.out = 300))))
saved("naive-bayes", naiveBayes(Species ~ ., iris), far)
saved("naive-bayes-xy", naiveBayes(iris[1:4], iris$Species), far)
saved("naive-bayes-matrix", naiveBayes(as.matrix(iris[1:4]), iris$Species), far)
saved("naive-bayes-threshold", naiveBayes(Species ~ ., iris), far, arguments = list(threshold = 0.01, eps = 0.001))
saved("naive-bayes-eps", naiveBayes(Species ~ ., iris), far, arguments = list(eps = 0.3))
saved("naive-bayes-mixed", naiveBayes(low ~ race + smoked + visits + town + age + lwt, births), births[columns])
saved("naive-bayes-laplace", naiveBayes(race ~ low + smoked + visits + town, births, laplace = 2), births[c("low", "smoked", "visits", "town")])
saved("naive-bayes-mixed-xy", naiveBayes(births[columns], births$low, laplace = 1), births[columns])
saved("naive-bayes-probability", naiveBayes(births[columns], births$low), births[columns], type = "probability")
saved("naive-bayes-logical-response", naiveBayes(births[columns[1:4]], births$smoke == 1), births[columns[1:4]])
saved("naive-bayes-factors-threshold", naiveBayes(race ~ low + town, births), births[c("low", "town")], arguments = list(threshold = 0.2, eps = 0.3))
sparse <- data.frame(g = factor(rep(c("a", "b", "c"), each = 6)), f = factor(c(rep("p", 6), rep("q", 6), "p", "q", "r", "r", "r", "r")), x = c(rep(1, 6), 1:6, 6:1))
saved("naive-bayes-zeros", naiveBayes(g ~ f + x, sparse), data.frame(f = factor(c("p", "q", "r", "p")), x = c(1, 1, 1, 4)))
saved("naive-bayes-one-predictor", naiveBayes(Species ~ Petal.Width, iris), far["Petal.Width"])
saved("naive-bayes-one-factor", naiveBayes(race ~ town, births), births["town"])
saved("naive-bayes-one-row", naiveBayes(Species ~ ., iris), far[5, ])
saved("naive-bayes-integers", naiveBayes(low ~ age + ftv, births), births[c("age", "ftv")])
saved("naive-bayes-na", naiveBayes(month ~ Ozone + Solar.R + Wind, air), air[c("Ozone", "Solar.R", "Wind")])
saved("naive-bayes-table", naiveBayes(Survived ~ ., data = Titanic), expand.grid(dimnames(Titanic)[1:3]))
alone <- data.frame(g = factor(c("a", rep("b", 9), rep("c", 9))), x = c(0, 1:9, 3:11), z = 1:19)
saved("naive-bayes-one-row-class", naiveBayes(g ~ x + z, alone), alone[c("x", "z")])

refused("naive-bayes-number-for-factor", naiveBayes(low ~ race + age, births), transform(births, race = as.integer(race)), "had levels when the model was fitted", type = "class")
refused("naive-bayes-argument", { fit <- naiveBayes(low ~ age, births); fit$levels <- "no"; fit }, births, "counts for 1 classes", type = "class")

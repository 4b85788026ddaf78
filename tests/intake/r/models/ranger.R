# Random forests of the package ranger.
source("common.R")
quietly("ranger")

forest <- function(...) ranger(..., num.trees = 20, seed = 4, num.threads = 1)

# Rows on the first split values of a forest, each in another row.
with_split_values <- function(model, rows, most = 60) {
  inner <- model$forest$child.nodeIDs[[1]][[1]] > 0
  variables <- model$forest$independent.variable.names[model$forest$split.varIDs[[1]][inner] + 1]
  values <- model$forest$split.values[[1]][inner]
  for (i in seq_len(min(most, length(values)))) {
    if (is.double(rows[[variables[[i]]]])) rows[1 + i %% nrow(rows), variables[[i]]] <- values[[i]]
  }
  rows
}

numbers <- housing[seq(1, nrow(housing), 4), names(housing) != "medv"]
whole <- forest(medv ~ ., housing)
saved("ranger-regression", whole, rbind(numbers, with_split_values(whole, numbers)))
saved("ranger-dependent-variable", forest(dependent.variable.name = "medv", data = housing), numbers)
saved("ranger-x-y", forest(x = housing[1:13], y = housing$medv), numbers)
saved("ranger-matrix", forest(x = as.matrix(housing[1:13]), y = housing$medv), numbers)
saved("ranger-first-trees", whole, numbers, arguments = list(num.trees = 3))
saved("ranger-extratrees", forest(medv ~ ., housing, splitrule = "extratrees"), numbers)
saved("ranger-maxstat", forest(medv ~ ., housing, splitrule = "maxstat"), numbers)
saved("ranger-beta", forest(I(medv / 51) ~ ., transform(housing[1:13], medv = housing$medv), splitrule = "beta"), numbers)
saved("ranger-weights", forest(medv ~ lstat + rm, housing, case.weights = housing$age, keep.inbag = TRUE), numbers[c("lstat", "rm")])
saved("ranger-memory", forest(medv ~ lstat + rm, housing, save.memory = TRUE), numbers[c("lstat", "rm")])
saved("ranger-one-predictor", forest(medv ~ lstat, housing, quantreg = TRUE), numbers["lstat"])
saved("ranger-stumps", forest(medv ~ ., housing, max.depth = 1), numbers)
saved("ranger-roots", forest(medv ~ lstat + rm, housing, min.node.size = 1000), numbers[c("lstat", "rm")])
saved("ranger-impurity", forest(medv ~ lstat + rm, housing, importance = "impurity", mtry = 2), numbers[c("rm", "lstat")])

# Factors in each of ranger's three ways.
births <- transform(infert, stratum = ordered(pmin(parity, 4)), previous = induced > 0, job = c("clerk", "smith", "cook")[1 + age %% 3])
births$town <- factor(sample(state.abb[1:40], nrow(births), TRUE), state.abb[1:40])
births_rows <- births[c("education", "age", "stratum", "previous", "spontaneous", "town")]
for_factors <- function(data, ...) forest(y = factor(births$case), x = data, ...)
saved("ranger-factors-ignored", for_factors(births_rows), births_rows)
saved("ranger-factors-ordered", for_factors(births_rows, respect.unordered.factors = "order"), births_rows)
few <- births_rows[names(births_rows) != "town"]  # of whose levels ranger tries every subset
saved("ranger-factors-partitioned", for_factors(few, respect.unordered.factors = "partition"), few)
saved("ranger-factors-extratrees", for_factors(births_rows, splitrule = "extratrees"), births_rows)
turned <- transform(births_rows, education = factor(education, rev(levels(education))))
saved("ranger-factors-in-another-order", for_factors(births_rows, respect.unordered.factors = TRUE), turned)
with_text <- births[c("job", "education", "age")]
saved("ranger-text-ordered", for_factors(with_text, respect.unordered.factors = "order", probability = TRUE), with_text)
one_factor <- births_rows["education"]
saved("ranger-one-factor", for_factors(one_factor, respect.unordered.factors = "partition", probability = TRUE), one_factor)
most <- data.frame(g = factor(rep(1:53, 8)), h = rnorm(424))
saved("ranger-53-levels", forest(y = as.integer(most$g) %% 7 + most$h, x = most, splitrule = "extratrees"), most)
ordered_response <- forest(age ~ education + town + spontaneous, births, respect.unordered.factors = "order")
saved("ranger-regression-ordered", ordered_response, births[c("education", "town", "spontaneous")])

# Classes.
flowers <- iris[seq(1, 150, 3), 1:4]
classes <- forest(Species ~ ., iris)
saved("ranger-classes", classes, with_split_values(classes, flowers))
saved("ranger-even-ties", ranger(type ~ glu + bmi, Pima.tr, num.trees = 4, seed = 1), Pima.te[c("glu", "bmi")])
saved("ranger-class-weights", forest(Species ~ ., iris, class.weights = c(1, 5, 1), splitrule = "gini"), flowers)
saved("ranger-hellinger", forest(type ~ ., Pima.tr, splitrule = "hellinger"), Pima.te[1:7])
saved("ranger-classes-of-numbers", forest(carb ~ mpg + wt + hp, mtcars, classification = TRUE), mtcars[c("mpg", "wt", "hp")])
saved("ranger-classes-of-logicals", forest(automatic ~ mpg + wt + hp, cars), cars[c("mpg", "wt", "hp")])
unsorted <- iris[c(120:60, 1:20, 150:140), ]
saved("ranger-classes-unsorted", forest(Species ~ ., unsorted), flowers)
some <- transform(unsorted, Species = factor(Species, c("none", "virginica", "setosa", "versicolor")))
saved("ranger-classes-unused", forest(Species ~ ., some), flowers)

# Probabilities.
shares <- forest(Species ~ ., iris, probability = TRUE)
saved("ranger-probabilities", shares, rbind(flowers, with_split_values(shares, flowers)))
saved("ranger-probability", forest(type ~ ., Pima.tr, probability = TRUE), Pima.te[1:7], type = "probability")
saved("ranger-two-classes", forest(type ~ ., Pima.tr, probability = TRUE), Pima.te[1:7], arguments = list(num.trees = 7))
saved("ranger-probabilities-unsorted", forest(Species ~ ., some, probability = TRUE), flowers)
saved("ranger-probabilities-of-numbers", forest(carb ~ mpg + wt, mtcars, probability = TRUE), mtcars[c("mpg", "wt")])
saved("ranger-probabilities-of-logicals", forest(automatic ~ mpg + wt, cars, probability = TRUE), cars[c("mpg", "wt")])

refused("ranger-without-forest", forest(medv ~ ., housing, write.forest = FALSE), numbers, "fit it with write.forest = TRUE")
survival <- forest(survival::Surv(time, status) ~ age + sex, survival::lung[c("time", "status", "age", "sex")])
refused("ranger-survival", survival, survival::lung[1:5, c("age", "sex")], "a ranger of type 'Survival' is not translated")
corrected <- forest(Species ~ ., iris, importance = "impurity_corrected")
corrected$forest$split.varIDs[[1]][1] <- 5
refused("ranger-corrected", corrected, flowers, "splits on a predictor that is not there", type = "class")

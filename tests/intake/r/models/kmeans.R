# Clusters of kmeans.
source("common.R")

saved("kmeans", kmeans(iris[1:4], 3), iris[1:4])
saved("kmeans-one", kmeans(mtcars["wt"], 2), mtcars)
saved("kmeans-columns", kmeans(as.matrix(mtcars[c("wt", "hp", "qsec")]), 5, nstart = 3), mtcars[c("qsec", "hp", "mpg", "wt")])
even <- kmeans(data.frame(x = c(-1, -1, 1, 1), y = 0), data.frame(x = c(-1, 1), y = 0))
saved("kmeans-ties", even, data.frame(x = c(0, -2, 2, 0, 1), y = c(0, 0, 0, 5, NA)))

refused("kmeans-names", kmeans(unname(as.matrix(mtcars[1:3])), 2), mtcars, "names of its 3 columns", type = "class")

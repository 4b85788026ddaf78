# Models without rows.
source("common.R")
quietly("randomForest")

saveRDS(lm(mpg ~ wt + factor(cyl), mtcars), file.path(folder, "lm.rds"))
saveRDS(glm(am ~ wt, binomial, mtcars), file.path(folder, "glm.rds"), compress = "xz")
saveRDS(randomForest(Species ~ ., iris, ntree = 5), file.path(folder, "forest.rds"), compress = FALSE)
saveRDS(lm(mpg ~ carb_o + maker + wt, cars), file.path(folder, "factors.rds"))
saveRDS(mtcars, file.path(folder, "data.rds"))

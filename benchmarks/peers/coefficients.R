# The intercept and coefficients of the fitted GLM as a JSON array of full precision: Rscript coefficients.R FILE.rds
model <- readRDS(commandArgs(trailingOnly = TRUE)[1])$model
stopifnot(identical(deparse(formula(model)), "type ~ npreg + glu + bp + skin + log(bmi) + log(ped) + log(age)"))
cat("[", paste(sprintf("%.17g", coef(model)), collapse = ", "), "]")

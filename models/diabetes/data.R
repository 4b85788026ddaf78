# Writes data/train.csv and data/test.csv from the package MASS: Rscript models/diabetes/data.R

here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)))
write.csv(MASS::Pima.tr, file.path(here, "data", "train.csv"), row.names = FALSE, quote = FALSE)
write.csv(MASS::Pima.te, file.path(here, "data", "test.csv"), row.names = FALSE, quote = FALSE)

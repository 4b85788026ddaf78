# The model in plumber: Rscript plumber.R FILE.rds PORT
library(plumber)
arguments <- commandArgs(trailingOnly = TRUE)
model <- readRDS(arguments[1])$model
answer <- function(req) list(predictions = predict(model, req$body, type = "response"))
server <- pr_post(pr(), "/predict", answer, serializer = serializer_unboxed_json(digits = 17))
server <- pr_get(server, "/readyz", function() "ready")
pr_run(server, port = as.integer(arguments[2]), docs = FALSE, quiet = TRUE)

# A caller in R with httr2: `Rscript httr2_client.R URL CASE`, where CASE is the file that conftest.py writes.
# What it got goes to standard output as one JSON object.
library(httr2)

arguments <- commandArgs(trailingOnly = TRUE)
url <- arguments[1]
columns <- jsonlite::fromJSON(arguments[2])
rows <- as.data.frame(columns)

answer_of <- function(path, body, ...) {
  req_perform(req_error(req_body_json(req_headers(request(paste0(url, path)), ...), body, digits = 17), is_error = \(r) FALSE))
}
exactly <- function(numbers) sprintf("%.17g", unlist(numbers))
tensor <- function(name, datatype) {
  list(name = name, datatype = datatype, shape = list(nrow(rows), 1L), data = as.list(rows[[name]]))
}

records <- answer_of("/predict", rows, `X-Request-Id` = "httr2-1")
infer <- answer_of("/v2/models/toy/infer", list(
  id = "from-r",
  inputs = list(tensor("age", "FP64"), tensor("visits", "INT64"), tensor("smoker", "BOOL"), tensor("exercise", "BYTES"))
))
rows$exercise <- "much"
invalid <- answer_of("/predict", rows)
metadata <- resp_body_json(req_perform(request(paste0(url, "/v2/models/toy"))))

cat(jsonlite::toJSON(auto_unbox = TRUE, list(
  records = exactly(resp_body_json(records)$predictions),
  request_id = resp_header(records, "x-request-id"),
  version = resp_header(records, "x-canari-version"),
  infer = exactly(resp_body_json(infer)$outputs[[1]]$data),
  id = resp_body_json(infer)$id,
  invalid = list(resp_status(invalid), resp_body_json(invalid)$error),
  inputs = length(metadata$inputs),
  ready = resp_status(req_perform(request(paste0(url, "/v2/health/ready"))))
)))

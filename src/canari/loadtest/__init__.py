"""Load without a comparison: scenarios of requests to one server, what it answered, and the highest rate that it bears."""

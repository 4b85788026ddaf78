"""Reading R's serialization without running any of it."""

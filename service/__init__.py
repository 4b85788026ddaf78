"""The BentoML service of this project."""

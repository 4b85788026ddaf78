"""canari takes a fitted model into production: proved, served, load-tested, released as a canary."""

__version__ = "0.1.0"

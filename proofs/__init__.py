"""The long proofs: what takes too many requests, or too many starts and stops, for a test. `make proof` runs them.

Each goes on where it was interrupted, and writes what it found into docs/proofs.md.
"""

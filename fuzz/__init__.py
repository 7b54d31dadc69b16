"""Fuzzers of everything that reads what others sent; README.md says how to run them."""

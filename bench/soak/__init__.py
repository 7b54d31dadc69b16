"""Hours of mixed traffic through real processes: python -m bench.soak."""

"""Whether the tree at hand has become slower than a commit: python -m bench.gate --help."""

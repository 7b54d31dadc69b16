"""Whole tunnels side by side: python -m bench.tunnel --help; docs/performance.md."""

"""Measurements: of parts (a script each) and of whole tunnels (the tunnel package)."""

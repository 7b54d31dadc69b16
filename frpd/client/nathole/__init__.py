"""Hole punching on the client. ``generation`` tells of the ways that frp has spoken."""

"""Joins two endpoints until both directions are over."""

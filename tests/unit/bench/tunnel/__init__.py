"""Tests of the side-by-side measurement."""

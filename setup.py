"""Kept for tools that call it; everything is in pyproject.toml."""

from setuptools import setup

setup()

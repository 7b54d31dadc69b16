"""Tests that patch or subclass a class of the product pass over it where it is compiled."""

from __future__ import annotations

import sys

import pytest


def needs_source(cls: type) -> pytest.MarkDecorator:
    """Mark a test that can only be run where the class is Python (docs/adr/0012)."""
    file = sys.modules[cls.__module__].__file__ or ""
    return pytest.mark.skipif(
        file.endswith(".so"), reason=f"{cls.__name__} is compiled: it takes no patch or subclass"
    )

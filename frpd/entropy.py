"""Randomness as an argument: the one place that draws random bytes and jitter."""

from __future__ import annotations

import os
import random
from typing import Protocol


class Entropy(Protocol):
    """Source of randomness; tests replace it by a fixed sequence."""

    def token_bytes(self, count: int) -> bytes:
        """Return ``count`` unpredictable bytes."""

    def jitter(self, value: float, spread: float) -> float:
        """Return ``value`` moved by at most ``spread`` (a fraction, 0.3 = +-30 %)."""


class SystemEntropy:
    """The operating system's generator; jitter needs no secrecy."""

    __slots__ = ()

    def token_bytes(self, count: int) -> bytes:
        """Return ``count`` bytes of os.urandom."""
        return os.urandom(count)

    def jitter(self, value: float, spread: float) -> float:
        """Return ``value`` times a uniform factor in [1 - spread, 1 + spread]."""
        return value * random.uniform(1.0 - spread, 1.0 + spread)  # noqa: S311 - not a secret

"""What stands for scrypt where a test starts many ends: it takes 0.1 s and 32 MiB each time."""

from __future__ import annotations

import hashlib

import pytest


def quick_stretch(secret: str | bytes) -> bytes:
    data = secret if isinstance(secret, bytes) else secret.encode("utf-8", "surrogateescape")
    return hashlib.sha256(b"stretched " + data).digest()


@pytest.fixture(autouse=True)
def cheap_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frpd.proto.seal_keys.stretch", quick_stretch)

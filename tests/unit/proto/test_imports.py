"""The sans-IO room stays sans-IO: nothing in it can reach a socket, a clock or a thread."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import frpd.proto

if TYPE_CHECKING:
    from collections.abc import Iterator

ALLOWED = {
    "__future__",
    "abc",
    "base64",
    "binascii",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "hmac",
    "ipaddress",
    "itertools",
    "json",
    "math",
    "operator",
    "re",
    "struct",
    "typing",
    "zlib",
    # third parties that only compute
    "crc32c",
    "cryptography.hazmat",
    "nacl",
    "snappy",
    "zlib_ng",
    # the ground
    "frpd.errors",
    "frpd.proto",
}

FOLDER = Path(frpd.proto.__path__[0])
MODULES = sorted(FOLDER.rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield every imported module's name, relative ones with their dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def allowed(name: str) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:count]) in ALLOWED for count in range(1, len(parts) + 1))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_module_imports_only_what_computes(path: Path) -> None:
    names = set(imported(ast.parse(path.read_text(encoding="utf-8"))))
    assert {name for name in names if not allowed(name)} == set()


@pytest.mark.parametrize(
    "source",
    [
        "import socket",
        "from os import urandom",
        "def f():\n import time",
        "from . import x",
        "from frpd.net import stream",
        "import frpd",
        "from threading import Lock",
        "import random",
    ],
)
def test_the_walk_finds_forbidden_imports(source: str) -> None:
    assert not all(map(allowed, imported(ast.parse(source))))

"""What setup.py compiles on request: files that are there, whose classes nobody else extends.

docs/adr/0012 has the reasons. Compiling takes minutes; ``make test-compiled`` does it.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("frpd_setup", ROOT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SETUP = load()


def classes(path: Path) -> Iterator[ast.ClassDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            yield node


def base_names(cls: ast.ClassDef) -> Iterator[str]:
    for base in cls.bases:
        named = base.value if isinstance(base, ast.Subscript) else base
        yield named.id if isinstance(named, ast.Name) else getattr(named, "attr", "")


@pytest.mark.parametrize("pattern", SETUP.HOT)
def test_each_line_of_the_list_names_files(pattern: str) -> None:
    assert list(ROOT.glob(pattern))


def test_no_class_that_is_not_compiled_extends_one_that_is() -> None:
    hot = {ROOT / name for name in SETUP.hot_files()}
    compiled = {
        cls.name for path in hot for cls in classes(path) if "Protocol" not in base_names(cls)
    }
    extending = [
        f"{path.name}: {cls.name}({base})"
        for path in (ROOT / "frpd").rglob("*.py")
        if path not in hot
        for cls in classes(path)
        for base in base_names(cls)
        if base in compiled
    ]
    assert extending == []

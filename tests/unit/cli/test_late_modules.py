"""late_modules: every import that happens late can happen before root is given up."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import frpd
from frpd.cli import late_modules
from frpd.cli.late_modules import LATE, load_late_modules

PACKAGE = Path(frpd.__file__).parent
# What a command does before it becomes a daemon, or never as one; and what LATE brings along.
NOT_OF_A_DAEMON = {"frpd/cli/admin_client.py", "frpd/cli/daemonize.py", "frpd/cli/verify.py"}
FOLDERS_OF_NO_DAEMON = ("frpd/cli/ctl/", "frpd/cli/doctor/")
OF_A_COMMAND = {"frpd.cli.nathole", "frpd.cli.verify"}  # that ends before anything is served
BROUGHT_ALONG = {
    "frpd.cli.assemble_server",
    "frpd.cli.assemble_client",
    "ssl",
    "cryptography",
    "dns.exception",
    "ipaddress",
}


def late_imports(path: Path) -> set[str]:
    """Return what is imported inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    inside = [
        node for part in ast.walk(tree) if isinstance(part, functions) for node in ast.walk(part)
    ]
    names = {node.module or "" for node in inside if isinstance(node, ast.ImportFrom)}
    return names | {
        item.name for node in inside if isinstance(node, ast.Import) for item in node.names
    }


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(PACKAGE.rglob("*.py")) if late_imports(path)],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_no_late_import_is_forgotten(path: Path) -> None:
    name = f"frpd/{path.relative_to(PACKAGE)}"
    if name in NOT_OF_A_DAEMON or name.startswith(FOLDERS_OF_NO_DAEMON):
        return
    known = set(LATE) | BROUGHT_ALONG | OF_A_COMMAND
    missing = {
        late
        for late in late_imports(path) - known
        if not any(module.startswith(f"{late}.") for module in known)
    }
    assert missing == set()


def test_they_are_loaded_and_what_is_not_installed_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(late_modules, "LATE", ("no_such_module", "wave"))
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    load_late_modules()
    assert "wave" in sys.modules

"""The rules of the house that no other tool checks; ARCHITECTURE.md says why they are there."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
HOUSE = ROOT / "frpd"
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in HOUSE.rglob("*.py"))

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
# A name that says nothing collects everything.
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "stuff"}

# Modules without a test file at the mirrored path, and why.
TESTED_ELSEWHERE = {
    "frpd/client/proxies/base.py": "an interface and a record: nothing to run",
    "frpd/client/visitors/base.py": "interfaces and a record: nothing to run",
    "frpd/config/load_client.py": "with load: test_load, test_eras",
    "frpd/config/load_server.py": "with load: test_load, test_eras, test_users",
    "frpd/net/bearer.py": "an interface: nothing to run",
    "frpd/net/endpoint.py": "an interface: nothing to run",
    "frpd/client/plugins/http_guest.py": "of two plugins: test_http_proxy, test_web_bridge",
    "frpd/server/proxies/named.py": "what https and tcpmux proxies share: test_https, test_tcpmux",
    "frpd/server/proxies/base.py": "an interface and a record: nothing to run",
    "frpd/transports/link.py": "an interface: nothing to run",
    "frpd/transports/work.py": "a record: nothing to run",
    "frpd/selector_loop.py": "tests/loop, by subject",
}

# All that proto may import: no socket, clock, randomness, thread or log can be reached from these.
PROTO_IMPORTS = re.compile(
    r"""(__future__|abc|base64|binascii|bisect|collections|contextlib|dataclasses|enum|functools|hashlib
    |hmac|ipaddress|itertools|json|math|re|string|struct|types|typing|zlib|urllib
    |cramjam|crc32c|cryptography|nacl|snappy|zlib_ng|_typeshed
    |frpd\.errors|frpd\.proto)(\.|$)""",
    re.VERBOSE,
)


def tree(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text(encoding="utf-8"), module)


def functions(module: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function from its def on, its docstring aside."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None and first.end_lineno is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


def imports(root: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of each imported module."""
    for node in ast.walk(root):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def comments(module: str) -> dict[int, str]:
    source = io.StringIO((ROOT / module).read_text(encoding="utf-8"))
    tokens = tokenize.generate_tokens(source.readline)
    return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_is_for(module: str) -> None:
    docstring = ast.get_docstring(tree(module))
    assert docstring
    assert "TODO" not in docstring


@pytest.mark.parametrize("module", MODULES)
def test_a_long_file_gives_its_reason(module: str) -> None:
    lines = len((ROOT / module).read_text(encoding="utf-8").splitlines())
    docstring = ast.get_docstring(tree(module)) or ""
    assert lines <= MAX_FILE_LINES or "500 lines" in docstring, (
        f"{module} has {lines} lines: split it, or say in its docstring why it is above 500 lines"
    )


@pytest.mark.parametrize("module", MODULES)
def test_a_function_fits_a_screen(module: str) -> None:
    long = {f.name: n for f in functions(module) if (n := body_lines(f)) > MAX_FUNCTION_LINES}
    assert long == {}


@pytest.mark.parametrize("module", MODULES)
def test_an_import_inside_a_function_gives_its_reason(module: str) -> None:
    said = comments(module)
    bare = [
        f"{module}:{line} {name}"
        for function in functions(module)
        for line, name in imports(function)
        if not any(re.search("[a-z]{2,} [a-z]{2,}", said.get(line - up, "")) for up in range(3))
    ]
    assert bare == []


# What may catch a lack of memory: code that no connection shares its books with.
MEMORY_ERRORS_END_HERE = {
    "frpd/admin/web_app.py": "a request, on a thread of its own",
    "frpd/cli/daemon.py": "the end of the process",
    "frpd/cli/daemonize.py": "the end of the process",
    "frpd/cli/config_dir.py": "the end of the process",
    "frpd/cli/head_start.py": "a thread of its own: who asks for its result gets them",
    "frpd/selector_loop.py": "on_failure, which the next clause is for",
    "frpd/workers.py": "a job: it shares nothing with the loop",
}


def catches(handler: ast.ExceptHandler, name: str) -> bool:
    return isinstance(handler.type, ast.Name) and handler.type.id == name


@pytest.mark.parametrize("module", [m for m in MODULES if m not in MEMORY_ERRORS_END_HERE])
def test_what_catches_everything_lets_a_lack_of_memory_through(module: str) -> None:
    bare = [
        f"{module}:{node.lineno}"
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Try)
        and any(catches(one, "Exception") for one in node.handlers)
        and not any(catches(one, "MemoryError") for one in node.handlers)
        and not any(isinstance(one.body[-1], ast.Raise) for one in node.handlers)
    ]
    assert bare == []


@pytest.mark.parametrize("module", MODULES)
def test_an_open_end_names_its_issue(module: str) -> None:
    marks = [c for c in comments(module).values() if re.search(r"\b(TODO|FIXME|XXX)\b(?! #\d)", c)]
    assert marks == []


def test_no_name_says_nothing() -> None:
    names = {part for module in MODULES for part in Path(module).with_suffix("").parts}
    assert names & FORBIDDEN_NAMES == set()


def mirrored_tests(module: str) -> list[Path]:
    """Return test_NAME.py, or its parts test_NAME_SUBJECT.py, under tests/unit and tests/loop."""
    inside = Path(module).relative_to("frpd")
    folders = (ROOT / "tests" / folder / inside.parent for folder in ("unit", "loop"))
    return [path for folder in folders for path in folder.glob(f"test_{inside.stem}*.py")]


@pytest.mark.parametrize("module", [m for m in MODULES if any(functions(m))])
def test_a_module_has_its_tests_at_the_mirrored_path(module: str) -> None:
    if module in TESTED_ELSEWHERE:
        assert mirrored_tests(module) == [], f"{module} has tests now: take it off the list"
    else:
        wanted = module.replace("frpd/", "tests/unit/", 1).replace(Path(module).name, "")
        assert mirrored_tests(module) != [], f"no {wanted}test_{Path(module).name}"


def test_the_list_of_modules_tested_elsewhere_is_not_stale() -> None:
    assert sorted(set(TESTED_ELSEWHERE) - set(MODULES)) == []


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("frpd/proto/")])
def test_proto_imports_nothing_that_could_do_io(module: str) -> None:
    others = [name for _, name in imports(tree(module)) if not PROTO_IMPORTS.match(name)]
    assert others == []


@pytest.mark.parametrize("module", [m for m in MODULES if m.endswith("__init__.py")])
def test_a_room_s_init_holds_a_docstring_and_tables_only(module: str) -> None:
    allowed = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.If)
    others = [type(node).__name__ for node in tree(module).body if not isinstance(node, allowed)]
    assert others == []


def test_import_layers_name_every_room() -> None:
    contracts = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    rooms = {f"frpd.{Path(module).parts[1].removesuffix('.py')}" for module in MODULES}
    unnamed = {room for room in rooms - {"frpd.__init__"} if not re.search(rf"{room}\b", contracts)}
    assert unnamed == set()

"""Rules of the house against holes, beyond ruff's: who runs what, how secrets are compared."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "frpd").rglob("*.py"))
FOLDERS = ("tools", "bench", "fuzz", "ansible")
BESIDE = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
)

# What runs text as a program, or makes objects of bytes from outside; and why a file may.
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_MEMBERS = {
    "os": {"system", "popen"},
    "tempfile": {"mktemp"},
    "yaml": {"load", "unsafe_load", "full_load"},
    "ssl": {"_create_unverified_context"},
    "subprocess": {"getoutput", "getstatusoutput"},
}
FORBIDDEN_MODULES = {
    "pickle",
    "marshal",
    "shelve",
    "dill",
    "cPickle",
    "commands",
    "telnetlib",
    "requests",
}
RUNNERS = {"run", "Popen", "call", "check_call", "check_output"}
MAY_RUN_PROGRAMS = {"frpd/cli/demo.py"}  # ./quickstart starts frps and frpc
# Where a certificate may go unchecked, and why.
UNVERIFIED = {
    "frpd/net/certificates.py": "as frp: without tls_trusted_ca_file there is nobody to ask",
    "frpd/cli/admin_client.py": "trusts one certificate alone, that of the daemon's own file",
    "frpd/server/plugins/hook.py": "tlsVerify = false of a server plugin, which is frp's default",
    "frpd/transports/quic_connection.py": "as net/certificates.py",
}
# Names that hold secrets. Those are compared by hmac.compare_digest, whose time tells nothing.
SECRET_NAME = re.compile(
    r"(^|_)(token|password|passwd|pwd|secret|sk|proof|mac|digest|signature|sign_key|privilege_key)$"
)

# Where == is right all the same, and why.
COMPARED_BY_EQUALS = {
    "frpd/config/load_server.py": "two values of one file, and == of Secrets takes its time",
}


class Source:
    """What one file has of each kind, from one walk."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = (ROOT / name).read_text(encoding="utf-8")
        self.calls: list[ast.Call] = []
        self.compares: list[ast.Compare] = []
        self.imported: set[str] = set()
        for node in ast.walk(ast.parse(self.text, name)):
            if isinstance(node, ast.Call):
                self.calls.append(node)
            elif isinstance(node, ast.Compare):
                self.compares.append(node)
            elif isinstance(node, ast.Import):
                self.imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                self.imported.add((node.module or "").split(".")[0])

    def where(self, node: ast.expr) -> str:
        return f"{self.name}:{node.lineno} {ast.unparse(node)[:80]}"


@pytest.fixture(scope="module")
def ours() -> list[Source]:
    return [Source(name) for name in OURS]


@pytest.fixture(scope="module")
def everything(ours: list[Source]) -> list[Source]:
    return [*ours, *map(Source, BESIDE)]


def is_member(function: ast.expr, names: dict[str, set[str]]) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.attr in names.get(function.value.id, set())
    )


def is_true(value: ast.expr) -> bool:
    return not (isinstance(value, ast.Constant) and not value.value)


def is_text(argument: ast.expr) -> bool:
    """Return whether an argument is text for a shell, rather than a list of words."""
    if isinstance(argument, ast.BinOp):
        return is_text(argument.left) and is_text(argument.right)
    return isinstance(argument, ast.Constant | ast.JoinedStr)


def test_no_text_is_run_and_no_bytes_become_objects(everything: list[Source]) -> None:
    found = [
        source.where(call)
        for source in everything
        for call in source.calls
        if (isinstance(call.func, ast.Name) and call.func.id in FORBIDDEN_CALLS)
        or is_member(call.func, FORBIDDEN_MEMBERS)
    ]
    assert found == []


def test_no_module_is_used_that_trusts_what_it_reads(everything: list[Source]) -> None:
    assert [s.name for s in everything if s.imported & FORBIDDEN_MODULES] == []


def test_a_program_is_run_by_a_list_and_never_by_a_shell(everything: list[Source]) -> None:
    found = [
        source.where(call)
        for source in everything
        for call in source.calls
        if any(word.arg == "shell" and is_true(word.value) for word in call.keywords)
        or (is_member(call.func, {"subprocess": RUNNERS}) and any(map(is_text, call.args[:1])))
    ]
    assert found == []


def test_the_programs_run_no_other_programs(ours: list[Source]) -> None:
    pattern = re.compile(
        r"^\s*(import|from) subprocess\b|\bos\.(exec|spawn|posix_spawn)", re.MULTILINE
    )
    assert {source.name for source in ours if pattern.search(source.text)} == MAY_RUN_PROGRAMS


def test_certificates_go_unchecked_only_where_it_is_said_why(ours: list[Source]) -> None:
    pattern = re.compile(r"CERT_NONE|check_hostname = False|verify=False")
    assert {source.name for source in ours if pattern.search(source.text)} == set(UNVERIFIED)


def names_a_secret(compare: ast.Compare) -> bool:
    """Return whether == or != has one side named like a secret, and none that is constant."""
    sides = [compare.left, *compare.comparators]
    if not isinstance(compare.ops[0], ast.Eq | ast.NotEq):
        return False
    if any(isinstance(side, ast.Constant) for side in sides):
        return False  # "" and such: whether there is one at all
    names = [ast.unparse(side).rpartition(".")[2] for side in sides]
    return not any(name.isupper() for name in names) and any(map(SECRET_NAME.search, names))


def test_a_secret_is_compared_in_constant_time(ours: list[Source]) -> None:
    found = {
        source.name: source.where(compare)
        for source in ours
        for compare in source.compares
        if names_a_secret(compare)
    }
    assert {name: at for name, at in found.items() if name not in COMPARED_BY_EQUALS} == {}


def test_an_exception_from_the_lint_for_holes_says_why(everything: list[Source]) -> None:
    # S104 speaks for itself: an address of all interfaces as a default, or in a comparison.
    bare = re.compile(r"# noqa(?!: [A-Z])|# noqa: (?!S104$)(S\d+,? ?)+$")
    found = [
        f"{source.name}:{number}"
        for source in everything
        for number, line in enumerate(source.text.splitlines(), 1)
        if bare.search(line)
    ]
    assert found == []

"""What every test run shares: the order of the folders, what is left out, the budgets."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from frpd import log

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from _pytest.terminal import TerminalReporter

ROOT = Path(__file__).parent
# Cheap folders first: what is broken there would only be found again, slower, by the later ones.
FOLDERS = ("unit", "loop", "e2e", "browser", "interop")
# Seconds on two cores for the whole of each group; "make e2e-full" has none.
BUDGETS = (
    ("unit", ("unit", "loop"), 120),
    ("end-to-end", ("e2e", "interop"), 360),
    ("browser", ("browser",), 120),
)

# Tests may be spread over processes. Those that start programs use the ports, namespaces and
# descriptors of the machine, so they stay together, one after another.
ALONE = ("unit", "loop")
PROGRAMS = pytest.mark.xdist_group("programs")

# A busy machine is slow for reasons that are not the code's, so no deadline per example.
hypothesis.settings.register_profile("frpd", deadline=None, print_blob=True)
hypothesis.settings.load_profile("frpd")

_spent: dict[str, float] = dict.fromkeys(FOLDERS, 0.0)


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """Take back what a test did to the log, or the next one would see other levels."""
    yield
    log.close()


def pytest_configure() -> None:
    # A shell that starts us in the background has SIGINT ignored, by all that we start as well.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the full matrices too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _rank(item.path))
    for item in items:
        if _folder(item.path) not in ALONE:
            item.add_marker(PROGRAMS)
        if _folder(item.path) == "e2e":
            item.add_marker(pytest.mark.e2e)
        if _folder(item.path) == "interop":
            item.add_marker(pytest.mark.interop)
    if not config.getoption("--full"):
        full = [item for item in items if item.get_closest_marker("full")]
        items[:] = [item for item in items if not item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=full)
    if not os.environ.get("FRPD_GO_FRP"):
        skip = pytest.mark.skip(reason="FRPD_GO_FRP does not name the folder of the Go programs")
        for item in items:
            if item.get_closest_marker("interop"):
                item.add_marker(skip)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Let a report pass between processes whatever a test has printed."""
    return _without_surrogates((yield))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    folder = Path(report.nodeid).parts[1]
    _spent[folder] = _spent.get(folder, 0.0) + report.duration


def pytest_terminal_summary(
    terminalreporter: TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    del exitstatus
    for name, folders, budget in BUDGETS:
        spent = sum(_spent[folder] for folder in folders)
        if not spent:
            continue
        line = f"{name} tests: {spent:.1f} s"
        if not config.getoption("--full"):
            line += f" of {budget} s"
            line += ", OVER BUDGET" if spent > budget else ""
        terminalreporter.write_line(line)
    if config.getoption("--full"):
        _write_figures(terminalreporter)


def _write_figures(terminalreporter: TerminalReporter) -> None:
    """Write what the tests measured (record_property)."""
    for report in terminalreporter.stats.get("passed", []) + terminalreporter.stats.get(
        "failed", []
    ):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{report.nodeid}: {name} = {value}")


def _folder(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def _rank(path: Path) -> int:
    folder = _folder(path)
    return FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(one) for one in value]
    if isinstance(value, tuple):
        return tuple(_without_surrogates(one) for one in value)
    return value

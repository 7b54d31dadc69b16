"""``frpc status``, ``reload`` and ``stop``: talk to the frpc that runs, ours or Go's of any era.

What scripts read is as in frp: the sentences, the table, and the exit status.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from frpd.admin.control_socket import name_of
from frpd.cli.admin_client import SECONDS, Answer, Target, call, client_target
from frpd.cli.flags import add_config_flags
from frpd.config.load_client import load_client_common
from frpd.errors import ConfigError, FrpError, TransportError

TYPES: Final = ("tcp", "udp", "tcpmux", "http", "https", "stcp", "sudp", "xtcp")
COLUMNS: Final = ("Name", "Status", "LocalAddr", "Plugin", "RemoteAddr", "Error")
FIELDS: Final = ("name", "status", "local_addr", "plugin", "remote_addr", "err")
GAP: Final = 2

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class _Refused(FrpError):
    """The API did not do what was asked."""


def add_commands(commands: Any) -> None:
    """Add the subcommands to those of frpc."""
    for name, (help_text, _) in COMMANDS.items():
        parser = commands.add_parser(name, help=help_text, allow_abbrev=False)
        # Without defaults of their own they leave alone what stood before the command.
        add_config_flags(parser, argparse.SUPPRESS, argparse.SUPPRESS)
        parser.add_argument(
            "--api_timeout",
            type=duration,
            default=SECONDS,
            metavar="DURATION",
            help="how long an answer may take, such as 30s",
        )
        if name == "reload":
            parser.add_argument("--strict", action="store_true", help="warnings are errors")


def run_command(options: argparse.Namespace) -> int:
    """Run the subcommand of ``options.command``; return the exit status."""
    try:
        common = load_client_common(options.config, dialect=options.ini_dialect)
    except ConfigError as error:
        print(error, flush=True)
        return 1
    target = client_target(common, name_of(options.config, "frpc"))
    _, run = COMMANDS[options.command]
    try:
        run(target, options)
    except FrpError as error:
        print(error, flush=True)
        return 1
    return 0


def duration(text: str) -> float:
    """Return the seconds of a duration as Go writes them, such as ``30s`` or ``1m30s``.

    Raises:
        ValueError: it is none.
    """
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def table(rows: Mapping[str, Sequence[Mapping[str, object]]]) -> Iterable[str]:
    """Yield the lines of the status table: a block for each type that has proxies."""
    for kind in TYPES:
        proxies = rows.get(kind) or ()
        if not proxies:
            continue
        cells = [COLUMNS] + [
            tuple(str(proxy.get(field, "")) for field in FIELDS)
            for proxy in sorted(proxies, key=lambda one: str(one.get("name", "")))
        ]
        widths = [max(map(len, column)) + GAP for column in zip(*cells, strict=True)]
        yield kind.upper()
        for row in cells:
            yield "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield ""


def _status(target: Target | None, options: argparse.Namespace) -> None:
    purpose, prefix = "get proxy status", "frpc get status error"
    answer = _ask(target, "GET", "/api/status", options, prefix=prefix, purpose=purpose)
    if not answer.is_ok:
        raise _Refused(f"{prefix}: admin api status code [{answer.status}]")
    rows = answer.json()
    if not isinstance(rows, dict) or not all(map(_is_rows, rows.values())):
        raise _Refused(f"{prefix}: unmarshal http response error: not the status of a frpc")
    print("Proxy Status...", *table(rows), sep="\n", flush=True)


def _reload(target: Target | None, options: argparse.Namespace) -> None:
    prefix = "frpc reload error"
    path = "/api/reload?strictConfig=true" if options.strict else "/api/reload"
    answer = _ask(target, "GET", path, options, prefix=prefix, purpose="use reload feature")
    _check(answer, prefix)
    print("reload success", flush=True)


def _stop(target: Target | None, options: argparse.Namespace) -> None:
    prefix = "frpc stop error"
    answer = _ask(target, "POST", "/api/stop", options, prefix=prefix, purpose="use stop feature")
    _check(answer, prefix)
    print("stop success", flush=True)


COMMANDS: Final[Mapping[str, tuple[str, Callable[[Target | None, argparse.Namespace], None]]]] = {
    "reload": ("have the frpc that runs read its file again", _reload),
    "status": ("show the proxies of the frpc that runs", _status),
    "stop": ("end the frpc that runs", _stop),
}


def _ask(
    target: Target | None,
    method: str,
    path: str,
    options: argparse.Namespace,
    *,
    prefix: str,
    purpose: str,
) -> Answer:
    if target is None:
        raise _Refused(f"{prefix}: admin_port shoud be set if you want to {purpose}")
    try:
        return call(target, method, path, seconds=options.api_timeout)
    except TransportError as error:
        raise _Refused(f"{prefix}: {error}") from error


def _check(answer: Answer, prefix: str) -> None:
    """Raise unless it was done: frp to 0.23 answers 200 in any case, with a code in the body."""
    value = answer.json()
    code = value.get("code", 0) if isinstance(value, dict) else 0
    if answer.is_ok and not code:
        return
    message = answer.message()
    if answer.status in (401, 404, 405) or not message:
        message = f"admin api status code [{answer.status}]"
    raise _Refused(f"{prefix}: {message}")


def _is_rows(value: object) -> bool:
    """Whether a value of the status is a list of objects; null is Go's empty list."""
    return value is None or (
        isinstance(value, list) and all(isinstance(row, dict) for row in value)
    )

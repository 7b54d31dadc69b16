"""Write what is derived from the key table: etc/frp/*.ini, tables of docs, Ansible's variables.

``python -m frpd.config.samples [ROOT]`` writes below ROOT (default: the working directory), with
``--check`` it only reports files that differ. Not imported by the daemons.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final

from frpd.config import argument_specs
from frpd.config.derived import derive
from frpd.config.fields import (
    CLIENT,
    PLUGIN_SINCE,
    PLUGINS,
    PROXY,
    PROXY_TYPES,
    SERVER,
    SERVER_PLUGIN,
    USER,
    VISITOR,
    VISITOR_TYPES,
    Rows,
)
from frpd.config.kinds import SEED, Field, Kind, State, accepted, default_text, since_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_WIDTH = 96
_BEGIN, _END = "<!-- keys: {} -->", "<!-- end -->"

_TOKEN = "change-me"  # noqa: S105 (a public example)
# The pair that runs on loopback as shipped: a web page on 8080, reached at port 6080.
_SERVER_SET: Final = {"bind_port": "7000", "token": _TOKEN}
_CLIENT_SET: Final = {"server_addr": "127.0.0.1", "server_port": "7000", "token": _TOKEN}
_WEB_SET: Final = {
    "type": "tcp",
    "local_ip": "127.0.0.1",
    "local_port": "8080",
    "remote_port": "6080",
}

_SERVER_HEAD = "frps: the server. Choose a token of your own, the same in every client's frpc.ini."
_CLIENT_HEAD = (
    "frpc: the client. This makes 127.0.0.1:8080 of this machine port 6080 of the server."
)
_FULL_HEAD = (
    "Every key, as the program knows it (generated; do not edit here). Lines that begin with #"
    " and a key are switched off and show the default or an example; without the # they count."
)


def minimal_server() -> str:
    """etc/frp/frps.ini."""
    return _comment(_SERVER_HEAD) + "\n[common]\n" + _settings(_SERVER_SET)


def minimal_client() -> str:
    """etc/frp/frpc.ini."""
    common = "\n[common]\n" + _settings(_CLIENT_SET)
    return _comment(_CLIENT_HEAD) + common + "\n[web]\n" + _settings(_WEB_SET)


def full_server() -> str:
    """etc/frp/frps_full.ini."""
    head = _comment(_SERVER_HEAD) + "#\n" + _comment(_FULL_HEAD)
    common = "\n[common]\n" + _explained(SERVER, _SERVER_SET)
    plugin = "\n#[plugin.NAME]\n" + _explained(SERVER_PLUGIN, {})
    user = "\n#[user.NAME]\n" + _explained(USER, {})
    return head + common + plugin + user


def full_client() -> str:
    """etc/frp/frpc_full.ini."""
    parts = [_comment(_CLIENT_HEAD), "#\n", _comment(_FULL_HEAD)]
    parts += ["\n[common]\n", _explained(CLIENT, _CLIENT_SET)]
    rows = sorted([*PROXY, *PROXY_TYPES["tcp"]], key=lambda row: row.name not in _WEB_SET)
    parts += ["\n[web]\n", _explained(rows, _WEB_SET)]
    parts += [_range_example()]
    for proxy_type, own in PROXY_TYPES.items():
        if proxy_type != "tcp":
            lines = {"type": proxy_type, "local_port": "8080"}
            parts += [f"\n#[{proxy_type}_example]\n", _settings(lines, off=True)]
            parts += [_explained(own, {})]
    for visitor_type, own in VISITOR_TYPES.items():
        lines = {"type": visitor_type, "role": "visitor"}
        parts += [f"\n#[{visitor_type}_visitor_example]\n", _settings(lines, off=True)]
        carried = [row for row in VISITOR if row.name not in lines]
        parts += [_explained([*carried, *own], {})]
    for plugin, own in PLUGINS.items():
        lines = {"type": "tcp", "remote_port": "6000", "plugin": plugin}
        parts += [f"\n#[{plugin}_example]\n", _settings(lines, off=True), _explained(own, {})]
    return "".join(parts)


def _range_example() -> str:
    text = "One proxy for each pair of ports: game_0, game_1 and so on."
    lines = {"type": "tcp", "local_port": "7000-7002,7010", "remote_port": "6200-6202,6210"}
    return "\n" + _comment(text) + "#[range:game]\n" + _settings(lines, off=True)


def _settings(values: Mapping[str, str], *, off: bool = False) -> str:
    mark = "#" if off else ""
    return "".join(f"{mark}{key} = {value}\n" for key, value in values.items())


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, _WIDTH))


def _explained(rows: Iterable[Field], active: Mapping[str, str]) -> str:
    return "".join(
        _explain(row, active.get(row.name)) for row in rows if row.state is not State.IGNORED
    )


def _explain(row: Field, active: str | None) -> str:
    default = row.default_note or default_text(row) or ("required" if row.required else "empty")
    facts = [default if default == "required" else f"default {default}", since_text(row)]
    if row.choices:
        facts.insert(0, accepted(row))
    if row.state in (State.PLANNED, State.FOREIGN):
        facts.append(row.state.value)
    head = _comment(f"{row.doc} ({'; '.join(facts)})")
    if row.kind is Kind.MAP:
        return f"\n{head}#{row.name}{row.sample}\n"
    if active is not None:
        return f"\n{head}{row.name} = {active}\n"
    return f"\n{head}#{row.name} = {row.sample or default_text(row)}\n"


def tables() -> dict[str, str]:
    """The tables of docs/configuration.md, by the name in their marker."""
    found = {"frps": _table(SERVER), "frps plugin": _table(SERVER_PLUGIN), "frpc": _table(CLIENT)}
    found["user"] = _table(USER)
    found["proxy"] = _table(PROXY)
    found["types"] = _grouped(PROXY_TYPES)
    found["visitor"] = _table(VISITOR)
    found["visitor types"] = _grouped({name: rows for name, rows in VISITOR_TYPES.items() if rows})
    since = {
        name: "" if age == SEED else f" (since frp {age})" for name, age in PLUGIN_SINCE.items()
    }
    found["plugins"] = _grouped({f"{name}{since[name]}": rows for name, rows in PLUGINS.items()})
    return found


def _grouped(groups: Mapping[str, Rows]) -> str:
    return "\n".join(f"**{name}**\n\n{_table(rows)}" for name, rows in groups.items())


def _table(rows: Rows) -> str:
    lines = [
        "| key | accepts | default | known to | state | meaning |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{_key(row)}` | {accepted(row)} | {_default(row)} | {since_text(row)}"
        f" | {row.state.value} | {row.doc} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _key(row: Field) -> str:
    return f"{row.name}NAME" if row.kind is Kind.MAP else row.name


def _default(row: Field) -> str:
    if row.default_note:
        return row.default_note
    text = default_text(row)
    return f"`{text}`" if text else ("required" if row.required else "")


def with_tables(page: str) -> str:
    """A page with the text between each pair of markers replaced by its table.

    Raises:
        ValueError: the page has no place for one of the tables.
    """
    for name, table in tables().items():
        begin = _BEGIN.format(name)
        head, found, rest = page.partition(begin)
        if not found:
            raise ValueError(f"no line {begin} in the page")
        _, _, tail = rest.partition(_END)
        page = f"{head}{begin}\n{table}{_END}{tail}"
    return page


def rendered(root: Path) -> dict[Path, str]:
    """Every derived file below `root`, with the text that it should have."""
    page = root / "docs" / "configuration.md"
    folder = root / "etc" / "frp"
    return {
        folder / "frps.ini": minimal_server(),
        folder / "frpc.ini": minimal_client(),
        folder / "frps_full.ini": full_server(),
        folder / "frpc_full.ini": full_client(),
        page: with_tables(page.read_text("utf-8")),
        **argument_specs.rendered(root),
    }


def main(arguments: list[str]) -> int:
    """Write or check the derived files; 1 when a check finds a difference."""
    return derive(rendered, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

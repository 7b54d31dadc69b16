"""Load frpc.ini and what it includes: files in, frozen objects and what to say about them out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from frpd.config import check, ranges, source
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.fields import CLIENT, PROXY, PROXY_TYPES, VISITOR, VISITOR_TYPES
from frpd.config.ini import ROOT, Dialect, IniTree
from frpd.config.load import COMMON, Loaded, Text, choose_dialect, common_reader, parse_text
from frpd.config.plugins import check_plugin
from frpd.config.problems import Problems
from frpd.config.proxies import PROXIES, ProxyConfig
from frpd.config.reader import SectionReader
from frpd.config.visitors import VISITORS, VisitorConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from frpd.config.template import Line

_TYPE, _ROLE = (next(row for row in PROXY if row.name == name) for name in ("type", "role"))
_VISITOR_TYPE = next(row for row in VISITOR if row.name == "type")


def load_client(
    path: str,
    *,
    dialect: str | None = None,
    environ: Mapping[str, str] = os.environ,
    strict: bool = False,
    start: str = "",
) -> Loaded[ClientSetup]:
    """Load frpc.ini and the files that it includes. Arguments and errors as in load_server.

    Relative ``includes`` begin at the folder ``start``, by default at the working one.
    """
    problems = Problems()
    chosen = choose_dialect(dialect, environ)
    lines = source.read_lines(path, environ, problems)
    text = parse_text(lines, chosen)
    common = _client_common(text, environ, problems)
    problems.raise_errors(strict=False)
    files = source.included_files(common.includes, start)
    if files:
        text = parse_text(_glue(lines, files, environ, problems), chosen)
        _warn_included_common(text.tree, path, problems)
    setup = _client(text, common, problems)
    problems.raise_errors(strict=strict)
    return Loaded(setup, tuple(problems.warnings), tuple(problems.refusals))


def load_client_common(
    path: str, *, dialect: str | None = None, environ: Mapping[str, str] = os.environ
) -> ClientConfig:
    """Load only [common] of frpc.ini: what is wrong elsewhere does not matter.

    Raises:
        ConfigError: it cannot be used.
    """
    problems = Problems()
    text = parse_text(source.read_lines(path, environ, problems), choose_dialect(dialect, environ))
    common = _client_common(text, environ, problems)
    problems.raise_errors(strict=False)
    return common


def _glue(
    lines: list[Line], files: Iterable[str], environ: Mapping[str, str], problems: Problems
) -> list[Line]:
    """Put the included texts behind the main one, as frp does, each on a line of its own."""
    glued = list(lines)
    for path in files:
        if glued and not glued[-1].text.endswith("\n"):
            glued[-1] = glued[-1]._replace(text=glued[-1].text + "\n")
        glued += source.read_lines(path, environ, problems)
    return glued


def _warn_included_common(tree: IniTree, main: str, problems: Problems) -> None:
    for key, (_, origin) in tree.sections.get(COMMON, {}).items():
        if origin is not None and origin.path != main:
            problems.warn("[common] of an included file is ignored", origin, COMMON, key)


def _client_common(text: Text, environ: Mapping[str, str], problems: Problems) -> ClientConfig:
    reader = common_reader(text, CLIENT, problems)
    values = reader.read(CLIENT)
    check.check_client(values, reader, environ)
    return ClientConfig(**values)


def _client(text: Text, common: ClientConfig, problems: Problems) -> ClientSetup:
    start = {_start_name(name) for name in common.start if name}
    expanded = ranges.expand(text.tree, lambda name: _names_range(start, name), problems)
    rival = _expand_rival(text.rival)
    proxies: list[ProxyConfig] = []
    visitors: list[VisitorConfig] = []
    seen: set[str] = set()
    for section in expanded.tree.sections:
        names = {section, expanded.ranges.get(section, section)}
        if section in (COMMON, ROOT):
            _check_root(expanded.tree, section, problems)
        elif not start or names & start:
            reader = SectionReader(expanded.tree, section, problems, rival=rival)
            read_section(reader, section, common.user, proxies, visitors)
        seen |= names
    for name in sorted(start - seen):
        reader = SectionReader(expanded.tree, COMMON, problems)
        reader.warn("start", f"there is no section {name!r}")
    return ClientSetup(common=common, proxies=tuple(proxies), visitors=tuple(visitors))


def _start_name(name: str) -> str:
    return ranges.range_name(name) if name.startswith(ranges.PREFIX) else name


def _names_range(start: set[str], whole: str) -> bool:
    """Whether `start` asks for a range, by its own name or by a member's; empty asks for all."""
    members = f"{whole.removeprefix(ranges.PREFIX)}_"
    return not start or whole in start or any(name.startswith(members) for name in start)


def _expand_rival(rival: IniTree | None) -> IniTree | None:
    if rival is None:
        return None
    problems = Problems()
    expanded = ranges.expand(rival, lambda _name: True, problems)
    return None if problems.errors else expanded.tree


def _check_root(tree: IniTree, section: str, problems: Problems) -> None:
    """OLD frpc takes keys before the first section for a proxy without a name, and fails."""
    if section == ROOT and tree.dialect is Dialect.OLD:
        for key, (_, origin) in tree.sections[ROOT].items():
            problems.error("stands before the first [section]", origin, None, key)


def read_section(
    reader: SectionReader,
    section: str,
    user: str,
    proxies: list[ProxyConfig],
    visitors: list[VisitorConfig],
) -> None:
    """Read one proxy or visitor section and append it to its list; problems go to the reader's."""
    if reader.value(_ROLE) == "visitor":
        visitor = _visitor(reader, section, user)
        visitors += [visitor] if visitor else []
    else:
        proxies.append(_proxy(reader, section, user))


def _proxy(reader: SectionReader, section: str, user: str) -> ProxyConfig:
    proxy_type: str = reader.value(_TYPE)
    rows = PROXY_TYPES[proxy_type] + PROXY
    others = (row for rows in (*PROXY_TYPES.values(), VISITOR) for row in rows)
    reader.report_unknown(rows, others)
    values = reader.read(row for row in rows if row not in (_TYPE, _ROLE))
    check.check_proxy(values, reader, proxy_type)
    check_plugin(values, reader)
    return PROXIES[proxy_type](name=_prefixed(user, section), section=section, **values)


def _visitor(reader: SectionReader, section: str, user: str) -> VisitorConfig | None:
    visitor_type: str = reader.value(_VISITOR_TYPE)
    if not visitor_type:
        if not reader.present("type"):
            reader.error("type", f"missing; accepted: {', '.join(VISITORS)}")
        return None
    rows = VISITOR_TYPES[visitor_type] + VISITOR
    others = (
        row for rows in (PROXY, *PROXY_TYPES.values(), *VISITOR_TYPES.values()) for row in rows
    )
    reader.report_unknown(rows, others)
    values = reader.read(row for row in rows if row.name not in ("type", "role"))
    check.check_visitor(values, reader, visitor_type)
    values["server_name"] = _prefixed(values["server_user"] or user, values["server_name"])
    return VISITORS[visitor_type](name=_prefixed(user, section), section=section, **values)


def _prefixed(user: str, name: str) -> str:
    return f"{user}.{name}" if user else name

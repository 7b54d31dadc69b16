"""Load a configuration: a file or flags in, frozen objects and what there is to say about them out.

The steps: read and render (source, template), scan in the chosen dialect (ini), expand ranges,
read each section by its rows (reader, fields), check across keys (check). The text is read in the
other dialect too, so that a file which the two frp eras understand differently is pointed out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from frpd.config import check, ranges, source
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.fields import (
    CLIENT,
    PROXY,
    PROXY_TYPES,
    SERVER,
    SERVER_PLUGIN,
    USER,
    VISITOR,
    VISITOR_TYPES,
    Rows,
)
from frpd.config.ini import ROOT, Dialect, IniTree, dialect_named, parse
from frpd.config.plugins import check_plugin
from frpd.config.problems import Problems
from frpd.config.proxies import PROXIES, ProxyConfig
from frpd.config.reader import SectionReader
from frpd.config.server import ServerConfig, ServerPluginConfig
from frpd.config.users import UserConfig, check_user, check_users
from frpd.config.visitors import VISITORS, VisitorConfig
from frpd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from frpd.config.template import Line

COMMON = "common"
PLUGIN_PREFIX = "plugin."
USER_PREFIX = "user."
DIALECT_VARIABLE = "FRP_INI_DIALECT"
_TYPE, _ROLE = (next(row for row in PROXY if row.name == name) for name in ("type", "role"))
_VISITOR_TYPE = next(row for row in VISITOR if row.name == "type")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """A configuration that can be used, and what its operator should be told.

    Attributes:
        value: the configuration.
        warnings: one line each; print or log them.
        refusals: protections (or carriers) that it asks for and that frpd cannot give yet. The
            file is readable, so tools may show it, but a daemon must not run on it.
    """

    value: T
    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()


class _Text(NamedTuple):
    """One text in the chosen dialect, and in the other one if that can read it at all."""

    tree: IniTree
    rival: IniTree | None


def load_server(
    path: str,
    *,
    dialect: str | None = None,
    environ: Mapping[str, str] = os.environ,
    strict: bool = False,
) -> Loaded[ServerConfig]:
    """Load frps.ini.

    Args:
        path: the file.
        dialect: ``old`` (frp to 0.35) or ``new``; by default what FRP_INI_DIALECT says, else new.
        environ: for templates.
        strict: warnings are errors.

    Raises:
        ConfigError: the file cannot be used; ConfigErrors when there is more than one reason.
    """
    problems = Problems()
    text = _parse(source.read_lines(path, environ, problems), _choose(dialect, environ))
    config = _server(text, problems)
    problems.raise_errors(strict=strict)
    return Loaded(config, tuple(problems.warnings), tuple(problems.refusals))


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
    chosen = _choose(dialect, environ)
    lines = source.read_lines(path, environ, problems)
    text = _parse(lines, chosen)
    common = _client_common(text, environ, problems)
    problems.raise_errors(strict=False)
    files = source.included_files(common.includes, start)
    if files:
        text = _parse(_glue(lines, files, environ, problems), chosen)
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
    text = _parse(source.read_lines(path, environ, problems), _choose(dialect, environ))
    common = _client_common(text, environ, problems)
    problems.raise_errors(strict=False)
    return common


def _choose(dialect: str | None, environ: Mapping[str, str]) -> Dialect:
    return dialect_named(dialect or environ.get(DIALECT_VARIABLE) or Dialect.NEW.value)


def _parse(lines: list[Line], dialect: Dialect) -> _Text:
    tree = parse(lines, dialect)
    try:
        return _Text(tree, parse(lines, dialect.other))
    except ConfigError:
        return _Text(tree, None)  # frp of the other era would refuse the file: nothing to compare


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


def _common_reader(text: _Text, rows: Rows, problems: Problems) -> SectionReader:
    """A reader of [common], which may be missing; then misplaced keys are pointed out."""
    names = {row.name for row in rows}
    for key, (_, origin) in text.tree.sections.get(ROOT, {}).items():
        if key in names:
            problems.warn("stands before the first section and is ignored", origin, None, key)
    text.tree.sections.setdefault(COMMON, {})
    reader = SectionReader(text.tree, COMMON, problems, rival=text.rival)
    reader.report_unknown(rows)
    return reader


def _server(text: _Text, problems: Problems) -> ServerConfig:
    reader = _common_reader(text, SERVER, problems)
    values = reader.read(SERVER)
    check.check_server(values, reader)
    plugins = []
    for section in text.tree.sections:
        if section.startswith(PLUGIN_PREFIX):
            plugins.append(_server_plugin(text, section, problems))
        elif section not in (COMMON, ROOT) and not section.startswith(USER_PREFIX):
            message = "unknown section, ignored; frps reads [common], [plugin.NAME], [user.NAME]"
            problems.warn(message, text.tree.origins[section], section)
    config = ServerConfig(**values, plugins=tuple(plugins))
    return replace(config, users=_users(text, config, reader, problems))


def _users(
    text: _Text, config: ServerConfig, common: SectionReader, problems: Problems
) -> tuple[UserConfig, ...]:
    """Read the sections of users. They inherit nothing: [user.a.b] is no part of [user.a]."""
    users: dict[str, UserConfig] = {}
    readers: dict[str, SectionReader] = {}
    sections = text.tree.sections
    for section in sections:
        if section.startswith(USER_PREFIX):
            name = section.removeprefix(USER_PREFIX)
            own = {one: sections[one] for one in (ROOT, section) if one in sections}
            reader = SectionReader(replace(text.tree, sections=own), section, problems)
            reader.report_unknown(USER)
            values = reader.read(USER)
            check.check_user(values, reader)
            check_user(values, reader, name, config.allow_ports)
            readers[name], users[name] = reader, UserConfig(name=name, **values)
            if values["token"] and values["token"] == config.token:
                reader.warn("token", "the same as that of [common]: everybody has it")
            if not (values["token"] or config.token):
                reader.warn("token", "none here nor in [common]: anybody can be this user")
    check_users(users, readers)
    if config.authentication_method == "oidc" and (users or config.users_only):
        message = "oidc knows no sections [user.NAME]: who they are there, their tokens say"
        common.error("authentication_method", message)
    return tuple(users.values())


def _server_plugin(text: _Text, section: str, problems: Problems) -> ServerPluginConfig:
    reader = SectionReader(text.tree, section, problems)
    reader.report_unknown(SERVER_PLUGIN)
    values = reader.read(SERVER_PLUGIN)
    check.check_server_plugin(values, reader)
    return ServerPluginConfig(name=section.removeprefix(PLUGIN_PREFIX), **values)


def _client_common(text: _Text, environ: Mapping[str, str], problems: Problems) -> ClientConfig:
    reader = _common_reader(text, CLIENT, problems)
    values = reader.read(CLIENT)
    check.check_client(values, reader, environ)
    return ClientConfig(**values)


def _client(text: _Text, common: ClientConfig, problems: Problems) -> ClientSetup:
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

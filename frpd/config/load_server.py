"""Load frps.ini: a file in, a frozen object and what there is to say about it out."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from frpd.config import check, source
from frpd.config.fields import SERVER, SERVER_PLUGIN, USER
from frpd.config.ini import ROOT
from frpd.config.load import COMMON, Loaded, Text, choose_dialect, common_reader, parse_text
from frpd.config.problems import Problems
from frpd.config.reader import SectionReader
from frpd.config.server import ServerConfig, ServerPluginConfig
from frpd.config.users import UserConfig, check_user, check_users

if TYPE_CHECKING:
    from collections.abc import Mapping

PLUGIN_PREFIX: Final = "plugin."
USER_PREFIX: Final = "user."


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
    text = parse_text(source.read_lines(path, environ, problems), choose_dialect(dialect, environ))
    config = _server(text, problems)
    problems.raise_errors(strict=strict)
    return Loaded(config, tuple(problems.warnings), tuple(problems.refusals))


def _server(text: Text, problems: Problems) -> ServerConfig:
    reader = common_reader(text, SERVER, problems)
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
    text: Text, config: ServerConfig, common: SectionReader, problems: Problems
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


def _server_plugin(text: Text, section: str, problems: Problems) -> ServerPluginConfig:
    reader = SectionReader(text.tree, section, problems)
    reader.report_unknown(SERVER_PLUGIN)
    values = reader.read(SERVER_PLUGIN)
    check.check_server_plugin(values, reader)
    return ServerPluginConfig(name=section.removeprefix(PLUGIN_PREFIX), **values)

"""The quick forms: a configuration from command-line flags, by the same rows and checks as files.

Flags carry the names of ini keys, except for the few that frp shortens. Nothing is forgiven here:
a flag was typed just now, so a bad value is an error.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from frpd.config import check
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.fields import CLIENT, SERVER, Rows
from frpd.config.ini import ROOT, Dialect, Entry, IniTree
from frpd.config.load import Loaded
from frpd.config.load_client import read_section
from frpd.config.problems import Problems
from frpd.config.proxies import PROXIES
from frpd.config.reader import SectionReader
from frpd.config.server import ServerConfig
from frpd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from frpd.config.proxies import ProxyConfig
    from frpd.config.visitors import VisitorConfig

ALIASES: Final[dict[str, str]] = {
    "auth_timeout": "authentication_timeout",
    "ue": "use_encryption",
    "uc": "use_compression",
    "custom_domain": "custom_domains",
    "sd": "subdomain",
    "mux": "multiplexer",
    "visitor_name": "proxy_name",
}
NO_KEYS: Final = ("annotations", "client_id")
"""Flags of newer frps that its ini files have no keys for, and that have no effect here."""
METADATAS: Final = "metadatas"
_COMMON = "common"
# Where a flag's default is not the key's: frp binds proxies everywhere, and dials this machine.
_SERVER_DEFAULTS: Final[dict[str, str]] = {"proxy_bind_addr": "0.0.0.0"}  # noqa: S104
_CLIENT_DEFAULTS: Final[dict[str, str]] = {"server_addr": "127.0.0.1"}


def server_from_flags(values: Mapping[str, str]) -> Loaded[ServerConfig]:
    """Make a configuration of frps from flags, named like ini keys, without the dashes.

    Raises:
        ConfigError: a flag's value cannot be used, or there is no such key.
    """
    problems = Problems()
    reader = _reader(_SERVER_DEFAULTS | _named(values), _COMMON, problems)
    read = reader.read(SERVER)
    _report_unknown(reader, SERVER, problems)
    check.check_server(read, reader)
    _raise(problems)
    return Loaded(ServerConfig(**read), tuple(problems.warnings))


def client_from_flags(
    common: Mapping[str, str], proxy_type: str, proxy: Mapping[str, str]
) -> Loaded[ClientSetup]:
    """Make a configuration of frpc with one proxy (or, with role = visitor, one visitor).

    Args:
        common: flags that are keys of [common]; server_addr may be host or host:port.
        proxy_type: tcp, udp and so on.
        proxy: flags of the proxy; `proxy_name` is its name.

    Raises:
        ConfigError: as in server_from_flags.
    """
    problems = Problems()
    flags = _split_server_addr(_CLIENT_DEFAULTS | _named(common))
    _warn_without_effect(flags, problems)
    reader = _reader(flags, _COMMON, problems)
    read = reader.read(CLIENT)
    _report_unknown(reader, CLIENT, problems)
    check.check_client(read, reader, os.environ)
    proxies: list[ProxyConfig] = []
    visitors: list[VisitorConfig] = []
    named = _named(proxy)
    _warn_without_effect(named, problems)
    _spread_metadatas(named, problems)
    section = named.pop("proxy_name", "")
    if proxy_type not in PROXIES:
        problems.error(f"{proxy_type!r} is no proxy type; accepted: {', '.join(PROXIES)}")
    else:
        one = _reader(named | {"type": proxy_type}, section, problems)
        read_section(one, section, read["user"], proxies, visitors)
    _raise(problems)
    setup = ClientSetup(
        common=ClientConfig(**read), proxies=tuple(proxies), visitors=tuple(visitors)
    )
    return Loaded(setup, tuple(problems.warnings))


def _named(flags: Mapping[str, str]) -> dict[str, str]:
    """Flags under the names of ini keys; dashes and underscores are the same."""
    plain = {name.replace("-", "_"): value for name, value in flags.items()}
    return {ALIASES.get(name, name): value for name, value in plain.items()}


def _warn_without_effect(flags: dict[str, str], problems: Problems) -> None:
    for name in NO_KEYS:
        if flags.pop(name, ""):
            problems.warn("has no effect", key=name)


def _spread_metadatas(flags: dict[str, str], problems: Problems) -> None:
    """Put a key for each of ``name=value,name=value`` in their place."""
    for pair in filter(None, flags.pop(METADATAS, "").split(",")):
        name, equals, value = pair.partition("=")
        if not (name and equals):
            problems.error(f"{pair!r} cannot be used; accepted: name=value", key=METADATAS)
        flags[f"meta_{name}"] = value


def _split_server_addr(flags: dict[str, str]) -> dict[str, str]:
    """Take host:port apart, as frp to 0.51 wants it; a bare IPv6 address has no port."""
    host, colon, port = flags["server_addr"].rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or (":" in host and not bracketed) or port.endswith("]"):
        return flags
    if not host:
        raise ConfigError("invalid server_addr; accepted: host or host:port", key="server_addr")
    return flags | {"server_addr": host, "server_port": port}


def _reader(values: Mapping[str, str], section: str, problems: Problems) -> SectionReader:
    entries = {key: Entry(value, None) for key, value in values.items()}
    tree = IniTree(Dialect.NEW, {ROOT: {}} | {section: entries})
    return SectionReader(tree, section, problems, from_flags=True)


def _report_unknown(reader: SectionReader, rows: Rows, problems: Problems) -> None:
    """A flag without a row is an error of whoever made the flags, so it is not passed over."""
    noted = len(problems.warnings)
    reader.report_unknown(rows)
    problems.errors += [ConfigError(text) for text in problems.warnings[noted:]]


def _raise(problems: Problems) -> None:
    """A protection that cannot be given stops a quick form at once."""
    problems.errors += [ConfigError(text) for text in problems.refusals]
    problems.raise_errors()

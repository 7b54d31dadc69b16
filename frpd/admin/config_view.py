"""The configuration as it was loaded, by section and key, with every secret masked."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from typing import Final

from frpd.client.reload import LIVE_KEYS
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.fields import (
    CLIENT,
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
from frpd.config.kinds import Bandwidth, Field, Kind, State
from frpd.config.params import Params
from frpd.config.proxies import ProxyConfig
from frpd.config.server import ServerConfig
from frpd.config.visitors import VisitorConfig
from frpd.server.reload import LIVE

MASK: Final = "********"
COMMON: Final = "common"

LIVE_OF_USER: Final = frozenset(row.attribute for row in USER)

Object = dict[str, object]

_LOGIN_OF_URL: Final = re.compile(r"//[^/@\s]+@")


def server_view(config: ServerConfig) -> Object:
    """Return what frps runs on."""
    rows = [row for row in SERVER if row.state is not State.IGNORED]
    return {
        "settings": list(_settings(COMMON, config, rows, LIVE)),
        "plugins": {
            f"plugin.{plugin.name}": list(
                _settings(f"plugin.{plugin.name}", plugin, SERVER_PLUGIN, ())
            )
            for plugin in config.plugins
        },
        "users": {
            f"user.{user.name}": list(_settings(f"user.{user.name}", user, USER, LIVE_OF_USER))
            for user in config.users
        },
    }


def client_view(common: ClientConfig, setup: ClientSetup) -> Object:
    """Return what frpc runs on.

    Args:
        common: as it was when it started.
        setup: its proxies and visitors, as they are now.
    """
    rows = [row for row in CLIENT if row.state is not State.IGNORED]
    return {
        "settings": list(_settings(COMMON, common, rows, LIVE_KEYS)),
        "proxies": {one.section: list(_proxy(one)) for one in setup.proxies},
        "visitors": {one.section: list(_visitor(one)) for one in setup.visitors},
    }


def text_of(row: Field, value: object) -> str:
    """Return a value as an ini file would have it, or a mask."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.15g}"
        case tuple():
            return ",".join(map(str, value))
        case Bandwidth():
            return value.text
    if row.kind is Kind.SECRET:
        return MASK if value else ""
    return _LOGIN_OF_URL.sub(f"//{MASK}@", str(value))


def _proxy(config: ProxyConfig) -> Iterator[Object]:
    section = config.section
    yield _always_set(section, "type", config.proxy_type, _doc(PROXY, "type"))
    rows = (*PROXY_TYPES.get(config.proxy_type, ()), *PROXY)
    names = [row.attribute for row in rows]
    yield from _settings(section, config, (row for row in rows if row.name != "type"), names)


def _visitor(config: VisitorConfig) -> Iterator[Object]:
    section = config.section
    yield _always_set(section, "role", "visitor", _doc(VISITOR, "role"))
    yield _always_set(section, "type", config.visitor_type, _doc(VISITOR, "type"))
    rows = (*VISITOR_TYPES.get(config.visitor_type, ()), *VISITOR)
    names = [row.attribute for row in rows]
    left = (row for row in rows if row.name not in ("type", "role"))
    yield from _settings(section, config, left, names)


def _settings(
    section: str, config: object, rows: Iterable[Field], live: Container[str]
) -> Iterator[Object]:
    """Yield the keys of a section; ``config`` has them as attributes, most of them."""
    seen: set[str] = set()
    for row in rows:
        attribute = row.attribute
        if attribute in seen or row.state is State.IGNORED or not hasattr(config, attribute):
            continue
        seen.add(attribute)
        value = getattr(config, attribute)
        if isinstance(value, Params):
            yield from _params(section, row, value, _plugin_rows(config), live=attribute in live)
            continue
        # Where a key follows another one by default, the note has that one's name.
        default = getattr(config, row.default_note, row.default)
        yield {
            "section": section,
            "key": row.name,
            "value": text_of(row, value),
            "default": row.default_note or text_of(row, default),
            "is_set": value != default,
            "live": attribute in live,
            "doc": row.doc,
        }


def _params(
    section: str, row: Field, params: Params, known: Rows, *, live: bool
) -> Iterator[Object]:
    """Yield free-form keys. Their values are masked unless the key is known to be harmless."""
    shown = {one.name: one for one in known if one.kind not in (Kind.SECRET, Kind.MAP)}
    for name, value in params.items():
        key = name if row.keep_prefix else f"{row.name}{name}"
        plain = shown.get(key)
        text = MASK if plain is None else text_of(plain, value)
        yield _always_set(section, key, text, (plain or row).doc) | {"live": live}


def _plugin_rows(config: object) -> Rows:
    return PLUGINS.get(getattr(config, "plugin", ""), ())


def _always_set(section: str, key: str, value: str, doc: str) -> Object:
    row: Object = {"section": section, "key": key, "value": value, "default": ""}
    return row | {"is_set": True, "live": True, "doc": doc}


def _doc(rows: Rows, name: str) -> str:
    return next(row.doc for row in rows if row.name == name)

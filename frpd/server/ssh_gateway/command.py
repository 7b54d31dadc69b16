"""The command of ``ssh -R``: a type of proxy and flags, as of ``frpc tcp ...``; frp's SSH mode.

Flags about the way to the server, and about what only frpc does, are none here, as in frp.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Final

from frpd.config.client import ClientSetup
from frpd.config.flags import client_from_flags
from frpd.config.proxies import ProxyConfig
from frpd.config.secret import NO_SECRET, Secret
from frpd.errors import ConfigError, FrpError
from frpd.proto.message.types import NewProxy

MAX_COMMAND_CHARS: Final = 8192
HELP: Final = frozenset(("-h", "--help"))

COMMON: Final = {"user": "u", "token": "t", "client_id": ""}
_PROXY: Final = {"proxy_name": "n", "metadatas": "", "annotations": ""}
_DOMAINS: Final = {"custom_domain": "d", "sd": ""}
_LOGIN: Final = {"http_user": "", "http_pwd": ""}
FLAGS: Final = {
    "tcp": {**_PROXY, "remote_port": "r"},
    "http": {**_PROXY, **_DOMAINS, "locations": "", **_LOGIN, "host_header_rewrite": ""},
    "https": {**_PROXY, **_DOMAINS},
    "tcpmux": {**_PROXY, **_DOMAINS, "mux": "", **_LOGIN},
    "stcp": {**_PROXY, "sk": "", "allow_users": ""},
}
"""Long names and short letters, by type."""
LISTS: Final = frozenset(("custom_domain", "locations", "allow_users", "metadatas", "annotations"))
"""These may be given several times, and add up."""

_SAME_NAMES: Final = ("remote_port", "subdomain", "http_user", "host_header_rewrite", "multiplexer")


class HelpWanted(FrpError):
    """The user asks how it is done; the text says so."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a command asks for; ``token`` is what it shows for it."""

    user: str
    token: Secret
    request: NewProxy


def read_command(text: str, *, spare_name: str, user: str = "") -> Wanted:
    """Return what the command asks for.

    Args:
        text: of the command, as ssh hands it over.
        spare_name: part of the proxy's name if the command has none.
        user: whose key it was; it is nobody else's command then. "" if that is not known.

    Raises:
        ConfigError: it cannot be used.
        HelpWanted: it asks for help.
    """
    if len(text) > MAX_COMMAND_CHARS:
        raise ConfigError(f"a command of more than {MAX_COMMAND_CHARS} characters")
    words = _words(text)
    kind = words[0] if words else ""
    if kind in HELP:
        raise HelpWanted(usage(""))
    if kind not in FLAGS:
        known = ", ".join(FLAGS)
        raise ConfigError(f"invalid proxy type: {kind!r}, support types: {known}")
    given = _read_flags(kind, words[1:])
    common = {name: given.pop(name) for name in COMMON if name in given}
    if user:
        common["user"] = user
    given["proxy_name"] = given.get("proxy_name") or f"sshtunnel-{kind}-{spare_name}"
    # It is the ssh client that knows the service.
    setup = client_from_flags(common, kind, {**given, "local_port": "1"}).value
    return _wanted(setup)


def usage(kind: str) -> str:
    """Return how it is done, for one type or for all."""
    lines = ["Usage:", f"  ssh -R :80:HOST:PORT v0@ADDRESS -p PORT {kind or 'TYPE'} [FLAGS]", ""]
    if not kind:
        return "\n".join([*lines, f"Types: {', '.join(FLAGS)}; TYPE --help has the flags."])
    flags = {**FLAGS[kind], **COMMON}
    told = [
        f"  {f'-{short}, ' if short else '    '}--{name} VALUE" for name, short in flags.items()
    ]
    return "\n".join([*lines, "Flags:", *told, "  -h, --help"])


def _words(text: str) -> list[str]:
    """Split at spaces, as frp does; quotes hold together what is between them."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    try:
        return list(lexer)
    except ValueError:  # a quote that is not closed is a character like others
        return text.split()


def _read_flags(kind: str, words: list[str]) -> dict[str, str]:
    flags = {**FLAGS[kind], **COMMON}
    by_letter = {short: name for name, short in flags.items() if short}
    given: dict[str, str] = {}
    left = iter(words)
    for word in left:
        if word in HELP:
            raise HelpWanted(usage(kind))
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            name = name.replace("-", "_")
        elif word.startswith("-") and len(word) > 1:
            name, value = by_letter.get(word[1], word[:2]), word[2:]
            equals, value = value[:1], value.removeprefix("=")
        else:
            continue  # frp does not mind other words either
        if name not in flags:
            raise ConfigError(f"unknown flag: {word.partition('=')[0]}")
        if not equals:
            following = next(left, None)
            if following is None:
                raise ConfigError(f"flag needs an argument: {word}")
            value = following
        given[name] = f"{given[name]},{value}" if name in LISTS and name in given else value
    return given


def _wanted(setup: ClientSetup) -> Wanted:
    config = setup.proxies[0]
    return Wanted(setup.common.user, setup.common.token, _request(config))


def _request(config: ProxyConfig) -> NewProxy:
    request = NewProxy(
        proxy_name=config.name, proxy_type=config.proxy_type, metas=dict(config.metas)
    )
    for name in _SAME_NAMES:
        if hasattr(config, name):
            setattr(request, name, getattr(config, name))
    for name in ("custom_domains", "locations", "allow_users"):
        setattr(request, name, list(getattr(config, name, ())))
    for name in ("http_pwd", "sk"):
        setattr(request, name, getattr(config, name, NO_SECRET).reveal())
    return request

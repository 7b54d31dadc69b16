"""The quick forms of frpc: one proxy, or one visitor, from flags alone.

``frpc tcp -s HOST:PORT -l 22 -r 6000`` is frp's way; ``frpc stcp visitor ...`` its newer one for
``frpc stcp --role visitor ...``. Both are taken, and the flags of all versions at once.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from frpd.cli.flags import add_frp_flags, add_value_flags, exposed, given, surplus
from frpd.config.client import ClientSetup
from frpd.config.fields import CLIENT, PROXY, PROXY_TYPES, VISITOR
from frpd.config.load import Loaded

VISITOR_WORD: Final = "visitor"

COMMON_FLAGS: Final = (
    ("server_addr", "s"),
    ("server_port", "P"),
    ("user", "u"),
    ("token", "t"),
    ("protocol", "p"),
    ("log_level", ""),
    ("log_file", ""),
    ("log_max_days", ""),
    ("disable_log_color", ""),
    ("tls_enable", ""),
    ("tls_server_name", ""),
    ("dns_server", ""),
    ("client_id", ""),
)
_PROXY: Final = (
    *(("proxy_name", "n"), ("local_ip", "i"), ("local_port", "l"), ("ue", ""), ("uc", "")),
    *(("bandwidth_limit", ""), ("bandwidth_limit_mode", "")),
    *(("metadatas", ""), ("annotations", "")),
)
_PORT: Final = (("remote_port", "r"),)
_DOMAINS: Final = (("custom_domain", "d"), ("sd", ""))
_LOGIN: Final = (("http_user", ""), ("http_pwd", ""))
_SECRET: Final = (
    *(("sk", ""), ("allow_users", ""), ("role", ""), ("visitor_name", "")),
    *(("server_name", ""), ("server_user", ""), ("bind_addr", ""), ("bind_port", "")),
)
PROXY_FLAGS: Final = {
    "tcp": (*_PROXY, *_PORT),
    "udp": (*_PROXY, *_PORT),
    "http": (*_PROXY, *_DOMAINS, *_LOGIN, ("locations", ""), ("host_header_rewrite", "")),
    "https": (*_PROXY, *_DOMAINS),
    "tcpmux": (*_PROXY, *_DOMAINS, *_LOGIN, ("mux", "")),
    "stcp": (*_PROXY, *_SECRET),
    "sudp": (*_PROXY, *_SECRET),
    "xtcp": (*_PROXY, *_SECRET),
}


def add_quick_commands(commands: Any) -> None:
    """Add a subcommand for each proxy type to those of frpc."""
    for proxy_type, flags in PROXY_FLAGS.items():
        parser = commands.add_parser(
            proxy_type, help=f"run one {proxy_type} proxy from flags", allow_abbrev=False
        )
        rows = (*CLIENT, *PROXY, *PROXY_TYPES[proxy_type], *VISITOR)
        add_value_flags(parser, COMMON_FLAGS, rows)
        add_value_flags(parser, flags, rows)
        add_frp_flags(parser)
        parser.add_argument("-c", "--config", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        if flags[-len(_SECRET) :] == _SECRET:
            parser.add_argument(
                "words", nargs="*", metavar=VISITOR_WORD, help="be a visitor of such a proxy"
            )


def load_quick(options: argparse.Namespace) -> Loaded[ClientSetup]:
    """Return the configuration of a quick form.

    Raises:
        ConfigError: it cannot be used.
    """
    from frpd.config.flags import client_from_flags  # noqa: PLC0415 - knows both ends

    kind, words = options.command, options.words
    proxy = given(options, PROXY_FLAGS[kind])
    if "role" in dict(PROXY_FLAGS[kind]) and words[:1] == [VISITOR_WORD]:
        proxy["role"], words = "visitor", words[1:]
    common = given(options, COMMON_FLAGS)
    loaded = client_from_flags(common, kind, proxy)
    said = (*surplus(words), *exposed({**common, **proxy}), *loaded.warnings)
    return Loaded(loaded.value, said)

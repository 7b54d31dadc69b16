"""Compiles the hot modules where that is asked for; everything else is in pyproject.toml.

    FRPD_COMPILE=1 pip install .

Needs a C compiler and Python's headers; mypyc, which comes with mypy, is fetched for the build.
The source is the same: what is not compiled runs as it stands. docs/performance.md has what it
brings, docs/adr/0012-compiled-modules.md why these modules and not all.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from setuptools import setup

if TYPE_CHECKING:
    from setuptools import Extension

ROOT = Path(__file__).resolve().parent
MYPY = "mypy>=2"

# What runs for each connection, message, request or packet, and what it is made of: calls between
# compiled modules are the cheap ones.
HOT = (
    "frpd/clock.py",
    "frpd/selector_loop.py",
    "frpd/net/address.py",
    "frpd/net/coded.py",
    "frpd/net/connector.py",
    "frpd/net/endpoint.py",
    "frpd/net/framed.py",
    "frpd/net/listener.py",
    "frpd/net/pace.py",
    "frpd/net/pipes.py",
    "frpd/net/socket_store.py",
    "frpd/net/splice.py",
    "frpd/net/stream.py",
    "frpd/net/transform.py",
    "frpd/net/unix_attempt.py",
    "frpd/relay/*.py",
    "frpd/udp/datagram_socket.py",
    "frpd/transports/first_record.py",
    "frpd/transports/link.py",
    "frpd/transports/messages.py",
    "frpd/transports/mux.py",
    "frpd/transports/mux_stream.py",
    "frpd/transports/work.py",
    "frpd/proto/buffer.py",
    "frpd/proto/message/codec.py",
    "frpd/proto/seal.py",
    "frpd/proto/seal_keys.py",
    "frpd/proto/seal_session.py",
    "frpd/proto/wrappers.py",
    "frpd/proto/http/basic.py",
    "frpd/proto/http/body.py",
    "frpd/proto/http/errors.py",
    "frpd/proto/http/fields.py",
    "frpd/proto/http/head.py",
    "frpd/proto/http/host.py",
    "frpd/proto/http/ranges.py",
    "frpd/proto/http/rewrite.py",
    "frpd/proto/yamux/*.py",
    "frpd/http/exchange.py",
    "frpd/http/limits.py",
    "frpd/http/lines.py",
    "frpd/http/message_end.py",
    "frpd/http/request_end.py",
    "frpd/http/response_end.py",
    "frpd/http/tell.py",
    "frpd/metrics/counters.py",
    "frpd/server/balancers.py",
    "frpd/server/direct_streams.py",
    "frpd/server/work_conns.py",
    "frpd/server/work_desk.py",
    "frpd/server/groups/visit.py",
    "frpd/server/guard/sources.py",
    "frpd/server/proxies/tcp.py",
    "frpd/server/proxies/tcp_port.py",
    "frpd/server/proxies/visit.py",
    "frpd/server/proxies/work_call.py",
    "frpd/server/ssh_gateway/link.py",
    "frpd/server/vhost/hosts.py",
    "frpd/server/vhost/http_host.py",
    "frpd/server/vhost/http_visitor.py",
    "frpd/server/vhost/names.py",
    "frpd/server/vhost/router.py",
    "frpd/client/control.py",
    "frpd/client/proxy_table.py",
    "frpd/client/proxies/gated.py",
    "frpd/client/proxies/general.py",
    "frpd/client/proxies/work_leg.py",
)


def hot_files() -> list[str]:
    """Return the paths of HOT, those of packages themselves left out."""
    found = {path for pattern in HOT for path in ROOT.glob(pattern)}
    return sorted(str(path.relative_to(ROOT)) for path in found if path.name != "__init__.py")


def extensions() -> list[Extension]:
    """Return what is to be compiled."""
    from mypyc.build import mypycify  # noqa: PLC0415 - only whoever compiles has it

    # What the modules import need not be there: a library's values are checked as they come.
    options = ["--config-file=", "--ignore-missing-imports"]
    return mypycify([*options, *hot_files()], debug_level="0")


def main() -> None:
    """Set up."""
    if os.environ.get("FRPD_COMPILE") != "1":
        setup()
    elif {"egg_info", "dist_info"}.intersection(sys.argv):  # pip asks what compiling takes
        setup(setup_requires=[MYPY])
    else:
        setup(ext_modules=extensions())


if __name__ == "__main__":
    main()

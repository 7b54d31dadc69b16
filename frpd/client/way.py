"""The way to the server, as frpc.ini describes it."""

from __future__ import annotations

from frpd.config.client import ClientConfig
from frpd.config.upstream import UpstreamProxy
from frpd.entropy import Entropy
from frpd.net.connector import Connector
from frpd.selector_loop import SelectorLoop
from frpd.transports import TRANSPORTS
from frpd.transports.base import LinkMaker, Transport
from frpd.transports.layers import Layer
from frpd.transports.way import QuicSettings, Way


def way_to_server(
    loop: SelectorLoop,
    connector: Connector,
    common: ClientConfig,
    entropy: Entropy,
) -> Transport | LinkMaker:
    """Return what dials the server.

    Raises:
        ConfigError: a certificate or a key cannot be used.
    """
    tls_files = common.tls_cert_file, common.tls_key_file, common.tls_trusted_ca_file
    tls_name = common.tls_server_name or common.server_addr

    def make_tls(may_announce: bool) -> Layer:
        # Importing ssl costs a tenth of the start, so only who uses TLS pays.
        from frpd.net.certificates import client_contexts  # noqa: PLC0415
        from frpd.transports.tls import TlsClientLayer  # noqa: PLC0415

        return TlsClientLayer(
            client_contexts(*tls_files, now=loop.now),
            tls_name,
            head_byte=may_announce and not common.disable_custom_tls_first_byte,
        )

    proxy = common.upstream
    way = Way(
        loop=loop,
        connector=connector,
        entropy=entropy,
        host=common.server_addr,
        port=common.server_port,
        timeout_seconds=common.dial_server_timeout,
        keepalive_seconds=common.dial_server_keepalive,
        local_ip=common.connect_server_local_ip,
        proxy=None if proxy is None else (proxy.host, proxy.port),
        proxy_layers=() if proxy is None else _through(loop, proxy, common),
        make_tls=make_tls,
        tls_enable=common.tls_enable,
        tls_files=tls_files,
        tls_name=tls_name,
        quic=QuicSettings(
            keepalive_seconds=common.quic_keepalive_period,
            idle_seconds=common.quic_max_idle_timeout,
            max_streams=common.quic_max_incoming_streams,
        ),
    )
    return TRANSPORTS[common.protocol](way)


def _through(loop: SelectorLoop, proxy: UpstreamProxy, common: ClientConfig) -> tuple[Layer, ...]:
    # Most installations have no proxy on the way: its import costs every start.
    from frpd.transports.upstream_proxy import UpstreamLayer  # noqa: PLC0415

    tunnel = UpstreamLayer(
        loop,
        proxy.scheme,
        str(proxy),
        common.server_addr,
        common.server_port,
        user=proxy.user,
        password=proxy.password.reveal(),
    )
    if proxy.scheme != "https":
        return (tunnel,)
    return (_tls_to(proxy, loop), tunnel)


def _tls_to(proxy: UpstreamProxy, loop: SelectorLoop) -> Layer:
    """Return TLS as with any web server: the system's authorities vouch for the proxy."""
    import ssl  # noqa: PLC0415 # few proxies speak TLS themselves

    from frpd.net.certificates import ReloadingContext  # noqa: PLC0415 # only they need it
    from frpd.transports.tls import TlsClientLayer  # noqa: PLC0415 # only they need it

    contexts = ReloadingContext(ssl.create_default_context, (), now=loop.now)
    return TlsClientLayer(contexts, proxy.host, head_byte=False)

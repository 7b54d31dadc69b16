"""Plugin static_file: visitors browse and fetch the files beneath a folder. GET and HEAD.

static_types, static_pages, static_tree, static_answers, static_site   what is answered
static_visit, frpd.net.file_source                                     how it goes out
"""

from __future__ import annotations

from typing import Final

from frpd.client.plugins.login import Login
from frpd.client.plugins.static_site import StaticSite
from frpd.client.plugins.static_tree import StaticTree
from frpd.client.plugins.static_visit import StaticVisit
from frpd.client.proxies.base import ProxyContext
from frpd.client.proxies.work_leg import join, open_work, source_of
from frpd.config.proxies import ProxyConfig
from frpd.errors import ProxyError
from frpd.metrics.counters import ProxyCounters
from frpd.proto.message.types import StartWorkConn
from frpd.transports.work import WorkStream
from frpd.workers import WorkerPool

PATH: Final = "plugin_local_path"
PREFIX: Final = "plugin_strip_prefix"
USER: Final = "plugin_http_user"
PASSWORD: Final = "plugin_http_passwd"  # noqa: S105 (the key's name)

WORKERS: Final = 4
"""Threads of one proxy: a disk that does not answer holds up nothing but its own files."""


class StaticFileProxy:
    """Serves the files beneath a folder. Loop thread only.

    Args:
        context: of the client.
        config: of this proxy.

    Raises:
        ProxyError: no folder is given.
    """

    def __init__(self, context: ProxyContext, config: ProxyConfig) -> None:
        params = config.plugin_params
        path = params.get(PATH, "")
        if not path:
            raise ProxyError(f"{PATH} not found")
        self.counters = ProxyCounters()
        self._context = context
        self._config = config
        login = Login(params, USER, PASSWORD)
        prefix = params.get(PREFIX, "")
        self._site = StaticSite(
            StaticTree(path), context.loop.clock, context.entropy, login, prefix
        )
        self._pool = WorkerPool(context.loop, threads=WORKERS)
        self._visits: set[StaticVisit] = set()
        self._closed = False

    def on_work(self, work: WorkStream, start: StartWorkConn) -> None:
        """See ServesWork.on_work."""
        context = self._context
        endpoint = open_work(context, self._config, work)
        if endpoint is None:
            return
        if self._closed:
            endpoint.abort()
            return

        source = source_of(start)
        visit = StaticVisit(
            context.loop,
            self._pool,
            self._site,
            context.log,
            name=source,
            on_closed=lambda: self._visit_closed(visit),
        )
        self._visits.add(visit)
        self.counters.opened()
        join(
            context,
            self.counters,
            visit,
            endpoint,
            source=source,
            begun=context.loop.now(),
            local_half_closes=False,
        )

    def retire(self) -> None:
        """See ServesWork.retire."""
        for visit in list(self._visits):
            visit.finish()

    def close(self) -> None:
        """See ServesWork.close: who waits for a request gets no other, answers are finished."""
        self._closed = True
        self.retire()
        self._end_if_idle()

    def _visit_closed(self, visit: StaticVisit) -> None:
        self._visits.discard(visit)
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self._closed and not self._visits:
            self._pool.close()

"""Hook: one server plugin, asked by HTTP from a worker thread.

It blocks, so nothing here may touch what the loop owns. Connections are kept, as many
as threads were at it at a time: a hook is asked again and again.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections import deque
from typing import Final
from urllib.parse import urlencode, urlsplit

from frpd.clock import Clock
from frpd.config.server import ServerPluginConfig
from frpd.errors import PluginError, RemoteProtocolError
from frpd.server.plugins.content import VERSION, Facts, Verdict, question, read_verdict

MAX_ANSWER_BYTES: Final = 256 * 1024
_CHUNK_BYTES: Final = 16 * 1024


class Hook:
    """One section [plugin.NAME]. Worker threads, any of them.

    Args:
        config: the section.
        clock: for deadlines.
    """

    def __init__(self, config: ServerPluginConfig, clock: Clock) -> None:
        self.name = config.name
        self.ops = frozenset(config.ops)
        self._clock = clock
        url = config.addr + config.path
        if not url.startswith(("http://", "https://")):
            url = "http://" + url
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port
        self._target = parts.path or "/"
        self._query = parts.query and f"{parts.query}&"
        self._is_secure = parts.scheme == "https"
        self._verifies = config.tls_verify
        self._tls: ssl.SSLContext | None = None
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._closed = False

    def ask(self, op: str, content: Facts, request_id: str, deadline: float) -> Verdict:
        """Return what the plugin says.

        Raises:
            PluginError: it could not be asked, or its answer is none; for the log only.
        """
        body = question(op, content)
        query = urlencode({"version": VERSION, "op": op})
        target = f"{self._target}?{self._query}{query}"
        headers = {"Content-Type": "application/json", "X-Frp-Reqid": request_id}
        try:
            return read_verdict(self._post(target, body, headers, deadline))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise PluginError(str(error) or type(error).__name__) from error
        except RemoteProtocolError as error:
            raise PluginError(str(error)) from error

    def close(self) -> None:
        """Keep no connection any more; also the loop's thread may say so. Idempotent."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _post(self, target: str, body: bytes, headers: dict[str, str], deadline: float) -> bytes:
        with contextlib.suppress(http.client.RemoteDisconnected, ConnectionError, IndexError):
            # One that was idle for too long: nobody has seen the question.
            return self._exchange(self._idle.pop(), target, body, headers, deadline)
        return self._exchange(self._open(deadline), target, body, headers, deadline)

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        target: str,
        body: bytes,
        headers: dict[str, str],
        deadline: float,
    ) -> bytes:
        is_reusable = False
        try:
            self._limit(connection, deadline)
            connection.request("POST", target, body, headers)
            self._limit(connection, deadline)
            response = connection.getresponse()
            answer = self._read(connection, response, deadline)
            is_reusable = not (response.will_close or self._closed)
            return answer
        finally:
            if is_reusable:
                self._idle.append(connection)
            else:
                connection.close()

    def _read(
        self,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        deadline: float,
    ) -> bytes:
        if response.status != http.client.OK:
            raise PluginError(f"do http request error code: {response.status}")
        answer = bytearray()
        while chunk := response.read1(_CHUNK_BYTES):
            answer += chunk
            if len(answer) > MAX_ANSWER_BYTES:
                raise PluginError(f"its answer is longer than {MAX_ANSWER_BYTES} bytes")
            self._limit(connection, deadline)
        if response.length:
            raise PluginError("its answer ends early")
        response.close()  # of the answer; the connection stays
        return bytes(answer)

    def _open(self, deadline: float) -> http.client.HTTPConnection:
        seconds = self._seconds_left(deadline)
        if not self._is_secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        if self._tls is None:
            self._tls = _tls_context(verifies=self._verifies)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=seconds, context=self._tls
        )

    def _limit(self, connection: http.client.HTTPConnection, deadline: float) -> None:
        seconds = self._seconds_left(deadline)
        if connection.sock is not None:  # else connecting has it as its time-out
            connection.sock.settimeout(seconds)

    def _seconds_left(self, deadline: float) -> float:
        seconds = deadline - self._clock.now()
        if seconds <= 0:
            raise PluginError("no answer in time")
        return seconds


def _tls_context(*, verifies: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verifies:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context

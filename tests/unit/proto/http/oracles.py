"""h11 and llhttp (through httptools) as readers of the same bytes. Either may be missing."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Reading:
    """What a reader understood of one message."""

    start: tuple[str, ...] = ()
    """Method and target, or status."""
    fields: list[tuple[str, str]] = field(default_factory=list)
    """Names in lower case."""
    body: bytes = b""
    complete: bool = False


class H11:
    """h11, as server for requests and as client for responses."""

    def __init__(self) -> None:
        self.module: Any = importlib.import_module("h11")

    def request(self, wire: bytes) -> Reading | None:
        """Return the reading of a request, or None: refused."""
        reader = self.module.Connection(self.module.SERVER, max_incomplete_event_size=1 << 17)
        return self._read(reader, wire)

    def response(self, wire: bytes, method: str) -> Reading | None:
        """Return the reading of a response to ``method`` after which the server closes."""
        reader = self.module.Connection(self.module.CLIENT, max_incomplete_event_size=1 << 17)
        target = "a:80" if method == "CONNECT" else "/"
        reader.send(self.module.Request(method=method, target=target, headers=[("Host", "a")]))
        reader.send(self.module.EndOfMessage())
        return self._read(reader, wire, closes=True)

    def _read(self, reader: Any, wire: bytes, *, closes: bool = False) -> Reading | None:
        h11, reading = self.module, Reading()
        try:
            reader.receive_data(wire)
            while True:
                event = reader.next_event()
                if event is h11.NEED_DATA and closes:
                    reader.receive_data(b"")
                    closes = False
                elif isinstance(event, h11.Request | h11.Response | h11.InformationalResponse):
                    self._head(event, reading)
                elif isinstance(event, h11.Data):
                    reading.body += bytes(event.data)
                else:
                    # It pauses where a tunnel begins.
                    reading.complete |= isinstance(event, h11.EndOfMessage) or event is h11.PAUSED
                    return reading
        except h11.RemoteProtocolError:
            return None

    def _head(self, event: Any, reading: Reading) -> None:
        if isinstance(event, self.module.Request):
            reading.start = (event.method.decode("latin-1"), event.target.decode("latin-1"))
        else:
            reading.start = (str(event.status_code),)
        reading.fields = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers
        ]


class Llhttp:
    """llhttp as httptools sets it up: strict, no leniency flags."""

    def __init__(self) -> None:
        self.module: Any = importlib.import_module("httptools")

    def request(self, wire: bytes) -> Reading | None:
        """Return the reading of a request, or None: refused."""
        listener = _Listener()
        parser = self.module.HttpRequestParser(listener)
        listener.start = lambda: (parser.get_method().decode("latin-1"), listener.url)
        return self._read(parser, listener, wire)

    def response(self, wire: bytes, method: str) -> Reading | None:
        """Return the reading of a response; llhttp cannot be told the method here."""
        assert method == "GET"
        listener = _Listener()
        parser = self.module.HttpResponseParser(listener)
        listener.start = lambda: (str(parser.get_status_code()),)
        return self._read(parser, listener, wire)

    def _read(self, parser: Any, listener: _Listener, wire: bytes) -> Reading | None:
        try:
            parser.feed_data(wire)
        except self.module.HttpParserUpgrade:
            pass
        except self.module.HttpParserError:
            if not listener.reading.complete:
                return None
        return listener.reading


class _Listener:
    """What httptools calls; only the first message counts."""

    def __init__(self) -> None:
        self.reading = Reading()
        self.url = ""
        self.start: Any = None

    def on_url(self, url: bytes) -> None:
        if not self.reading.complete:
            self.url += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.reading.complete and not self.reading.start:
            pair = (name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t"))
            self.reading.fields.append(pair)

    def on_headers_complete(self) -> None:
        if not self.reading.complete:
            self.reading.start = self.start()

    def on_body(self, data: bytes) -> None:
        if not self.reading.complete:
            self.reading.body += data

    def on_message_complete(self) -> None:
        self.reading.complete = True

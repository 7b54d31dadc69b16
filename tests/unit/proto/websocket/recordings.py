"""Recorded WebSocket sessions of Go frp, and what one of its ends sent."""

from __future__ import annotations

import base64
import json
from pathlib import Path

NAMES = ["websocket_mux_v021", "websocket_nomux_v021", "websocket_mux_v031"]
END_OF_HEAD = b"\r\n\r\n"
FOLDER = Path(__file__).parents[3] / "data" / "websocket"


class Recorded:
    """One connection.

    Attributes:
        request, answer: the two heads.
        from_client, from_server: the frames behind them.
    """

    def __init__(self, connection: dict[str, list[dict[str, str]]]) -> None:
        self.request, self.from_client = self._direction(connection, "c2s")
        self.answer, self.from_server = self._direction(connection, "s2c")

    @staticmethod
    def _direction(connection: dict[str, list[dict[str, str]]], name: str) -> tuple[bytes, bytes]:
        stream = b"".join(
            base64.b64decode(event["data_b64"], validate=True)
            for event in connection["events"]
            if event["dir"] == name and "data_b64" in event
        )
        head, _, rest = stream.partition(END_OF_HEAD)
        return head + END_OF_HEAD, rest

    def field(self, name: str) -> str:
        """Return a field of the request."""
        lines = self.request.decode().split("\r\n")
        [value] = [line.partition(": ")[2] for line in lines if line.startswith(f"{name}: ")]
        return value


def recorded(name: str) -> list[Recorded]:
    """Return all connections of one session."""
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    return [Recorded(connection) for connection in json.loads(text)["connections"]]


ALL = [connection for name in NAMES for connection in recorded(name)]

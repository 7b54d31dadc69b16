"""The error tree: every expected failure in frpd is one of these.

    FrpError
    |-- ConfigError            a file or a flag says something we cannot do
    |-- AuthError              a peer's credential does not hold
    |-- ProtocolError
    |   |-- LocalProtocolError   we were about to break a protocol (a bug of ours)
    |   `-- RemoteProtocolError  the peer broke it: that connection ends
    |-- TransportError         the network did not do what was asked
    |   `-- ConnectionLost       reset, aborted or timed out under us
    |-- LimitError             a bound of ours was reached
    |-- PluginError            a server plugin said no, or could not be asked
    `-- ProxyError             a proxy cannot be registered or started

A clean end of a stream is a result, not an error.
"""

from __future__ import annotations


class FrpError(Exception):
    """Base of all errors that frpd raises on purpose."""


class ConfigError(FrpError):
    """A configuration file or command line cannot be used.

    Args:
        message: what is wrong and what is accepted, one sentence.
        path: the file, if there is one.
        line: 1-based line in that file, if known.
        section: ini section without brackets, if known.
        key: the key, if known.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        line: int | None = None,
        section: str | None = None,
        key: str | None = None,
    ) -> None:
        self.message = message
        self.path = path
        self.line = line
        self.section = section
        self.key = key
        super().__init__(self._render())

    def _render(self) -> str:
        where = ""
        if self.path is not None:
            where = self.path if self.line is None else f"{self.path}:{self.line}"
        if self.section is not None:
            where += f" [{self.section}]" if where else f"[{self.section}]"
        if self.key is not None:
            where += f" {self.key}" if where else self.key
        return f"{where}: {self.message}" if where else self.message


class AuthError(FrpError):
    """A peer's credential was refused; the text is what the peer may see.

    Args:
        text: see above.
        was_checked: False when nobody could tell whether it holds: no fault of the peer.
    """

    def __init__(self, text: str, *, was_checked: bool = True) -> None:
        super().__init__(text)
        self.was_checked = was_checked


class ProtocolError(FrpError):
    """Base of the two protocol errors."""


class LocalProtocolError(ProtocolError):
    """Our side asked a protocol object for something illegal."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something illegal; its connection cannot go on."""


class TransportError(FrpError):
    """A connection could not be made or used."""


class ConnectionLost(TransportError):
    """An established connection ended without a clean end of stream."""


class LimitError(FrpError):
    """A bound on sizes, counts or times was reached."""


class ProxyError(FrpError):
    """A proxy cannot be registered or started; the text goes to the client."""


class PluginError(FrpError):
    """A server plugin said no, or could not be asked; the text is what the peer may see.

    Args:
        text: see above.
        was_asked: False when it could not be: no fault of the peer.
    """

    def __init__(self, text: str, *, was_asked: bool = True) -> None:
        super().__init__(text)
        self.was_asked = was_asked

"""A client of the admin APIs: one request, by TCP or by the control socket."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from frpd.admin.control_socket import path_of
from frpd.config.secret import NO_SECRET, Secret
from frpd.errors import TransportError
from frpd.net.address import join_host_port

if TYPE_CHECKING:
    from http.client import HTTPConnection
    from ssl import SSLContext

    from frpd.config.client import ClientConfig

SECONDS: Final = 30.0
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """Where an API is: the path of a control socket, or else a port and a login.

    Attributes:
        path: of the control socket; "" to use the port.
        host: of the port.
        port: of the port.
        user: for its login.
        password: for its login.
        certificate: file that has the one the port shows; "" where it speaks plain HTTP.
    """

    path: str = ""
    host: str = ""
    port: int = 0
    user: str = ""
    password: Secret = NO_SECRET
    certificate: str = ""

    @property
    def where(self) -> str:
        """How errors call it."""
        return self.path or join_host_port(self.host, self.port)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an API has answered."""

    status: int
    body: bytes

    @property
    def is_ok(self) -> bool:
        """Whether what was asked has been done, by the status."""
        return self.status == 200

    def json(self) -> object:
        """Return the body's value; None if it is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def message(self) -> str:
        """Return what a body says of an error, in the shape of any frp; "" if nothing."""
        value = self.json()
        if isinstance(value, dict):
            found = value.get("msg", value.get("Msg", ""))
            return found if isinstance(found, str) else ""
        return self.body.decode("utf-8", "replace").strip()


def client_target(common: ClientConfig, name: str = "frpc") -> Target | None:
    """Return where the API of the frpc of this file is; None if it has none.

    The port comes first: the frpc that runs may be another program's.
    """
    if common.admin_port:
        return Target(
            host=common.admin_addr,
            port=common.admin_port,
            user=common.admin_user,
            password=common.admin_pwd,
        )
    path = path_of(common.control_socket, name)
    return Target(path) if path and os.path.exists(path) else None


def call(
    target: Target,
    method: str,
    path: str,
    *,
    body: object = None,
    seconds: float = SECONDS,
) -> Answer:
    """Ask once.

    Args:
        target: whom.
        method: of HTTP.
        path: with its parameters.
        body: bytes are sent as they are, anything else but None as JSON.
        seconds: how long each step may take.

    Raises:
        TransportError: there is no answer; says why in Go's words.
    """
    from http.client import HTTPException  # noqa: PLC0415 - slow, and the daemons need it not

    try:
        connection = _connection(target, seconds)
    except OSError as error:  # its certificate
        raise TransportError(f"{target.certificate}: {_reason(error)}") from None
    headers = {"Authorization": _basic(target)} if target.user or target.password else {}
    data = None
    if isinstance(body, bytes):
        data = body
    elif body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    try:
        # Who refuses us has not read all, but has answered.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, data, headers)
        response = connection.getresponse()
        return Answer(response.status, response.read(MAX_ANSWER_BYTES))
    except (OSError, HTTPException) as error:
        raise TransportError(_explain(target, method, path, error)) from error
    finally:
        connection.close()


def _connection(target: Target, seconds: float) -> HTTPConnection:
    from http.client import HTTPConnection, HTTPSConnection  # noqa: PLC0415 - as in call()

    if target.certificate:
        context = _context(target.certificate)
        return HTTPSConnection(target.host, target.port, timeout=seconds, context=context)
    if not target.path:
        return HTTPConnection(target.host, target.port, timeout=seconds)

    class ByPath(HTTPConnection):
        """HTTP over a Unix socket."""

        def connect(self) -> None:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(seconds)
            self.sock.connect(target.path)

    return ByPath("localhost")


def _context(certificate: str) -> SSLContext:
    """Return what trusts nobody but the owner of a certificate, whatever its name is."""
    import ssl  # noqa: PLC0415 - slow, and most ask by plain HTTP

    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _basic(target: Target) -> str:
    pair = f"{target.user}:{target.password.reveal()}".encode("utf-8", "surrogateescape")
    return "Basic " + base64.b64encode(pair).decode()


def _explain(target: Target, method: str, path: str, error: Exception) -> str:
    if isinstance(error, TimeoutError):
        reason = "no answer in time"
    elif isinstance(error, OSError):
        reason = _reason(error)
    else:
        reason = f"malformed HTTP response: {error}"
    if target.path:
        return f"{method.title()} {path}: dial unix {target.path}: connect: {reason}"
    url = f"{'https' if target.certificate else 'http'}://{target.where}{path}"
    return f'{method.title()} "{url}": dial tcp {target.where}: connect: {reason}'


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()

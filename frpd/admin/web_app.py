"""AdminApp: a Bottle application with frp's manners: plain errors, JSON answers, a gate.

Groups of endpoints register themselves with ``get`` and ``change``. A handler runs on a thread
of the web server; what it returns becomes JSON, unless it is a Reply.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import bottle

from frpd.admin.access import FOREIGN_PAGE, Gate, Refusal, is_browser
from frpd.admin.loop_calls import LoopBusyError
from frpd.admin.saving import saved
from frpd.errors import FrpError
from frpd.log import get_logger

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
NO_METHOD: Final = "HEAD-IS-NO-METHOD"
MAX_JSON_BYTES: Final = 64 * 1024

Handler = Callable[..., object]
Environ = dict[str, Any]

_log = get_logger("frpd.admin.web_app")


class ApiError(FrpError):
    """A request that cannot be answered.

    Args:
        status: of HTTP.
        message: for the client.
        code: frp's number in the body, where it is not the status.
        fields: what else frp says in the body.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: int | None = None,
        fields: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = status if code is None else code
        self.fields = fields or {}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is not JSON with status 200."""

    body: str | bytes = ""
    status: int = 200
    content_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


class AdminApp:
    """A WSGI application. Any thread.

    Args:
        choose_gate: returns who lets a request in, by its environment.
    """

    def __init__(self, choose_gate: Callable[[Environ], Gate]) -> None:
        self._choose_gate = choose_gate
        self._bottle = _Bottle()

    def __call__(self, environ: Environ, start_response: Callable[..., object]) -> Iterable[bytes]:
        """Serve one request."""
        if environ["REQUEST_METHOD"] == "HEAD":
            # Bottle would answer with GET's; in frp it is a wrong method.
            environ["REQUEST_METHOD"] = NO_METHOD
        answer: Iterable[bytes] = self._bottle(environ, start_response)
        return answer

    def get(self, path: str, handler: Handler) -> None:
        """Have GET of a path answered."""
        self._bottle.route(path, "GET", self._guarded(handler, changes=False))

    def change(self, method: str, path: str, handler: Handler) -> None:
        """Have a method that changes something answered; GET only for those who are no browser."""
        call = self._guarded(handler, changes=True)
        self._bottle.route(path, method, _no_browser(call) if method == "GET" else call)

    def free(self, path: str, handler: Handler) -> None:
        """Have every method of a path answered, and to everybody."""
        self._bottle.route(path, "ANY", lambda: _render(_answer(handler, {})))

    def _guarded(self, handler: Handler, *, changes: bool) -> Handler:
        def call(**arguments: str) -> bytes:
            environ = bottle.request.environ
            refusal = self._choose_gate(environ).refuse(environ, changes=changes)
            if refusal is not None:
                return _render(_refused(refusal))
            reply = _answer(handler, arguments)
            return _render(reply) if changes else _save(reply, environ)

        return call


def query(name: str) -> str:
    """Return a parameter of the request at hand; "" if it is missing."""
    value: str = bottle.request.query.getunicode(name, "")
    return value


def asks_again() -> bool:
    """Whether the request at hand is of who has an answer, and looks for a newer one."""
    return "HTTP_IF_NONE_MATCH" in bottle.request.environ


def flag(name: str) -> bool:
    """Return whether a parameter of the request at hand says yes."""
    return query(name).lower() in ("1", "true", "yes")


def number(name: str, default: int, *, low: int, high: int) -> int:
    """Return a number among the parameters.

    Raises:
        ApiError: it is none, or out of range.
    """
    text = query(name)
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and low <= int(text) <= high):
        raise ApiError(400, f"{name}: accepted: a whole number from {low} to {high}")
    return int(text)


def body_text() -> str:
    """Return the body of the request at hand.

    Raises:
        ApiError: it is not UTF-8.
    """
    try:
        text: str = bottle.request.body.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ApiError(400, "the body is not UTF-8") from error
    return text


def body_object(most: int = MAX_JSON_BYTES) -> dict[str, object]:
    """Return the JSON object in the body of the request at hand.

    Raises:
        ApiError: there is none.
    """
    text = body_text()
    try:
        value = json.loads(text) if len(text) <= most else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ApiError(400, "the body has to be a JSON object")
    return value


def body_string(name: str, most: int = MAX_JSON_BYTES) -> str:
    """Return a string of the JSON object in the body; "" if it is missing.

    Raises:
        ApiError: it is something else.
    """
    value = body_object(most).get(name, "")
    if not isinstance(value, str):
        raise ApiError(400, f"{name} has to be a string")
    return value


class _Bottle(bottle.Bottle):  # type: ignore[misc] # bottle is not typed
    """Bottle without pages of its own."""

    def default_error_handler(self, res: Any) -> bytes:
        if res.status_code >= 500:
            _log.error("%s: %s", bottle.request.path, res.exception or res.body)
        if res.status_code == 405:
            return _render(Reply(status=405))
        text = "404 page not found\n" if res.status_code == 404 else f"{res.body}\n"
        return _render(Reply(text, res.status_code))


def _no_browser(call: Handler) -> Handler:
    def guarded(**arguments: str) -> object:
        if is_browser(bottle.request.environ):
            return _render(_refused(Refusal(403, FOREIGN_PAGE)))
        return call(**arguments)

    return guarded


def _answer(handler: Handler, arguments: Mapping[str, str]) -> object:
    try:
        return handler(**arguments)
    except ApiError as error:
        return _error(error)
    except LoopBusyError as error:
        return _error(ApiError(503, str(error)))
    except Exception as error:
        _log.exception("%s failed", bottle.request.path)
        return _error(ApiError(500, f"a bug: {type(error).__name__}; the log has more"))


def _error(error: ApiError) -> Reply:
    if "text/html" in bottle.request.get_header("Accept", ""):
        return Reply(f"{error}\n", error.status)  # a person reads it, in the place of a page
    body = {"code": error.code, "msg": str(error), **error.fields}
    return Reply(json.dumps(body), error.status, JSON)


def _refused(refusal: Refusal) -> Reply:
    if refusal.status != 401:
        reply = _error(ApiError(refusal.status, refusal.message))
        wait = {"Retry-After": str(refusal.retry_seconds)} if refusal.retry_seconds else {}
        return replace(reply, headers=wait)
    headers = {"WWW-Authenticate": 'Basic realm="Restricted"'}
    return Reply(f"{refusal.message}\n", 401, headers=headers)


def _json(value: object) -> Iterator[str]:
    """Yield JSON in pieces: long lists at one go would keep the loop from running meanwhile."""
    if isinstance(value, dict):
        yield "{"
        for index, (key, item) in enumerate(value.items()):
            yield f"{', ' if index else ''}{json.dumps(key)}: "
            yield from _json(item)
        yield "}"
    elif isinstance(value, list | tuple):
        yield "["
        for index, item in enumerate(value):
            yield f", {json.dumps(item)}" if index else json.dumps(item)
        yield "]"
    else:
        yield json.dumps(value)


def _reply(answer: object) -> Reply:
    return answer if isinstance(answer, Reply) else Reply("".join(_json(answer)), 200, JSON)


def _save(answer: object, environ: Environ) -> bytes:
    """Render an answer that a client may have already, or may take packed."""
    reply = _reply(answer)
    if reply.status != 200 or "ETag" in reply.headers:
        return _render(reply)
    body = reply.body.encode() if isinstance(reply.body, str) else reply.body
    status, body, headers = saved(body, environ)
    return _render(Reply(body, status, reply.content_type, {**reply.headers, **headers}))


def _render(answer: object) -> bytes:
    reply = _reply(answer)
    response = bottle.response
    response.status = reply.status
    response.content_type = reply.content_type
    response.set_header("X-Content-Type-Options", "nosniff")
    response.set_header("Cache-Control", "no-store")
    for name, value in reply.headers.items():
        response.set_header(name, value)
    return reply.body.encode() if isinstance(reply.body, str) else reply.body

"""A headless Chromium that is driven by its DevTools protocol, over one WebSocket for each page."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.programs import need_tool, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from tests.helpers.programs import Program
    from tests.helpers.stage import Stage

_PROGRAM = "chromium-headless-shell"
_OPTIONS = (
    "--no-sandbox",  # root cannot have one
    "--no-proxy-server",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--hide-scrollbars",
    "--no-first-run",
    "--remote-debugging-port=0",
)
SECONDS = 30.0  # for whatever happens on a page, on a busy machine
DESKTOP = (1280, 900)
PHONE = (390, 844)


class Browser:
    """A browser; each page that it opens has a profile of its own."""

    def __init__(self, stage: Stage) -> None:
        profile = stage.folder / "devtools"
        self._program: Program = stage.start(
            "browser",
            need_tool(_PROGRAM),
            *_OPTIONS,
            f"--user-data-dir={profile}",
            "about:blank",
            env={"HOME": str(stage.folder), "LANG": "C.UTF-8"},
        )
        line = self._program.wait_for("DevTools listening on ", SECONDS)
        address = line.split()[-1]
        self._authority = address.split("/")[2]
        self._connection = _Connection(address)

    def page(
        self,
        *,
        size: tuple[int, int] = DESKTOP,
        dark: bool = False,
        language: str = "en",
        login: str = "",
    ) -> Page:
        """Open an empty page.

        Args:
            size: in CSS pixels.
            dark: what prefers-color-scheme says.
            language: what navigator.language says.
            login: ``user:password`` for HTTP Basic; "" for none.
        """
        call = self._connection.call
        context = call("Target.createBrowserContext", disposeOnDetach=True)["browserContextId"]
        made = call("Target.createTarget", url="about:blank", browserContextId=context)
        page = Page(
            f"ws://{self._authority}/devtools/page/{made['targetId']}",
            lambda: call("Target.disposeBrowserContext", browserContextId=context),
        )
        page.begin(size, dark=dark, language=language, login=login)
        return page

    def close(self) -> None:
        """End it. Idempotent."""
        self._connection.close()
        self._program.kill()


class _Connection:
    """Commands and their answers; events are collected meanwhile."""

    def __init__(self, address: str) -> None:
        client = pytest.importorskip("websockets.sync.client", reason="websockets is not installed")
        # A socket of ours: no proxy of this machine comes between, whatever the version thinks.
        host, _, port = address.split("/")[2].rpartition(":")
        sock = socket.create_connection((host, int(port)), SECONDS)
        self._exit = contextlib.ExitStack()
        self._socket: Any = self._exit.enter_context(
            client.connect(address, sock=sock, max_size=None, compression=None)
        )
        self._ids = itertools.count(1)
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a command; return its result."""
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=SECONDS))
            if message.get("id") == number:
                assert "error" not in message, (method, message["error"])
                result: dict[str, Any] = message["result"]
                return result
            self.events.append(message)

    def close(self) -> None:
        """Hang up. Idempotent."""
        self._exit.close()


class Page:
    """One page. ``complaints`` are what the browser's console would show in red."""

    def __init__(self, address: str, forget: Callable[[], object]) -> None:
        self._connection = _Connection(address)
        self._forget = forget
        self.call = self._connection.call

    def begin(self, size: tuple[int, int], *, dark: bool, language: str, login: str) -> None:
        """Set what a user of it would have; see Browser.page."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(size)
        self.prefer(dark=dark)
        agent = self.evaluate("navigator.userAgent")
        self.call("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=language)
        if login:
            self.log_in(login)

    def log_in(self, login: str) -> None:
        """Use this login from now on."""
        word = base64.b64encode(login.encode()).decode()
        self.call("Network.setExtraHTTPHeaders", headers={"Authorization": f"Basic {word}"})

    def resize(self, size: tuple[int, int]) -> None:
        """Have a window of this size."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.call("Emulation.setDeviceMetricsOverride", **metrics, mobile=width < 600)

    def prefer(self, *, dark: bool) -> None:
        """Say what prefers-color-scheme says."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, address: str) -> None:
        """Go somewhere; what is there may still be loading."""
        self.call("Page.navigate", url=address)

    def reload(self) -> None:
        """Load the page again, and wait until the old one is gone."""
        self.evaluate("window.isOld = true")
        self.call("Page.reload")
        self.wait("!window.isOld && document.body", "the page is loaded again")

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression of JavaScript; promises are waited for."""
        done = self.call(
            "Runtime.evaluate",
            expression=script,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in done, (script, done["exceptionDetails"])
        return done["result"].get("value")

    def wait(self, condition: str, what: str = "") -> None:
        """Wait until an expression holds."""
        try:
            wait_until(lambda: self._holds(condition), what or condition, SECONDS)
        except pytest.fail.Exception:
            text = self.evaluate("document.body.innerText")
            pytest.fail(f"not in time: {what or condition}\n{text}\n{self.complaints}")

    def _holds(self, condition: str) -> bool:
        # A page that is being left has no values; the next one will.
        done = self.call("Runtime.evaluate", expression=f"Boolean({condition})", returnByValue=True)
        return bool(done["result"].get("value")) and "exceptionDetails" not in done

    def wait_for_text(self, text: str, selector: str = "body") -> None:
        """Wait until a text can be seen."""
        place, wanted = json.dumps(selector), json.dumps(text)
        found = f"document.querySelector({place})?.innerText.includes({wanted})"
        self.wait(found, f"{text!r} in {selector}")

    def click(self, selector: str) -> None:
        """Press something with the mouse, as soon as it is there and can be pressed."""
        place = json.dumps(selector)
        self.wait(
            f"document.querySelector({place})?.disabled === false || "
            f"document.querySelector({place})?.href",
            selector,
        )
        middle = self.evaluate(
            f"(() => {{ const e = document.querySelector({place});"
            "e.scrollIntoView({block: 'center'});"
            "const r = e.getBoundingClientRect();"
            "return {x: r.x + r.width / 2, y: r.y + r.height / 2} })()"
        )
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = "none" if kind == "mouseMoved" else "left"
            self.call("Input.dispatchMouseEvent", type=kind, button=button, clickCount=1, **middle)

    def fill(self, selector: str, text: str) -> None:
        """Write into a field, in the place of what it has."""
        place = json.dumps(selector)
        self.wait(f"document.querySelector({place})")
        self.evaluate(f"document.querySelector({place}).focus()")
        self.evaluate(f"document.querySelector({place}).select()")
        self.call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Press and release a key, such as Tab or Escape."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27}
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=codes[key],
                **(text if kind == "keyDown" else {}),
            )

    def choose(self, selector: str, value: str) -> None:
        """Choose an option of a select."""
        place = json.dumps(selector)
        self.wait(f"document.querySelector({place})")
        self.evaluate(
            f"(() => {{ const e = document.querySelector({place}); e.value = {json.dumps(value)};"
            "e.dispatchEvent(new Event('change', {bubbles: true})) })()"
        )

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Take a picture of what can be seen, or of the whole page."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    @property
    def complaints(self) -> list[str]:
        """What was wrong so far: exceptions, refused contents, failed requests."""
        self.evaluate("0")  # takes the events that are waiting
        found = []
        for event in self._connection.events:
            parameters = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                details = parameters["exceptionDetails"]
                found.append(str(details.get("exception", details).get("description", details)))
            if event["method"] == "Log.entryAdded" and parameters["entry"]["level"] == "error":
                entry = parameters["entry"]
                found.append(f"{entry['text']} {entry.get('url', '')}")
            if event["method"] == "Runtime.consoleAPICalled" and parameters["type"] == "error":
                found.append(str([one.get("value", one) for one in parameters["args"]]))
        return found

    @property
    def hosts(self) -> set[str]:
        """Whom it has sent requests to."""
        self.evaluate("0")
        return {
            event["params"]["request"]["url"].split("/")[2]
            for event in self._connection.events
            if event["method"] == "Network.requestWillBeSent"
            and not event["params"]["request"]["url"].startswith("data:")
        }

    def close(self) -> None:
        """Close it, and with it its connections."""
        self._connection.close()
        self._forget()

    def __enter__(self) -> Page:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

"""What measurements of one tunnel stand on: its files, its processes, and figures of them."""

from __future__ import annotations

import base64
import contextlib
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bench.tunnel.backends import build_load
from bench.tunnel.processes import Child, listens, running, wait_until

LOOPBACK: Final = "127.0.0.1"
TOKEN: Final = "bench-token-of-no-use"
START_SECONDS: Final = 20.0
OPERATOR: Final = b"ops:bench-password"
Sections = Mapping[str, Mapping[str, object]]


def ini(sections: Sections) -> str:
    """Return the text of an ini file."""
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {_text(value)}\n" for key, value in settings.items())
        for name, settings in sections.items()
    )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Ground(contextlib.ExitStack):
    """Programs of ours in a folder; all of them end with it.

    Args:
        folder: for files and what the programs say.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.load = build_load("cc", folder)

    def write(self, name: str, sections: Sections) -> str:
        """Write an ini file; return its path. [common] has a token and no control socket."""
        path = self.folder / name
        common = {"token": TOKEN, "control_socket": "off", **sections["common"]}
        path.write_text(ini({**sections, "common": common}))
        return str(path)

    def start(self, name: str, command: list[str], port: int | None = None) -> Child:
        """Start a program, and wait until somebody listens on the port."""
        child = self.enter_context(running(command, self.folder / f"{name}.log"))
        if port is not None:
            number = port
            wait_until(lambda: listens(number), f"a listening {name}", START_SECONDS, [child])
        return child

    def python(self, name: str, *arguments: str, port: int | None = None) -> Child:
        """Start a module of Python's."""
        return self.start(name, [sys.executable, "-m", *arguments], port)

    def frps(self, name: str, path: str, port: int) -> Child:
        """Start a frps that measures its loop, into the file NAME.lags."""
        lags = str(self.folder / f"{name}.lags")
        return self.python(name, "bench.lag", path, lags, port=port)

    def frpc(self, name: str, path: str, port: int | None = None) -> Child:
        """Start a frpc."""
        return self.python(name, "frpd.cli.frpc", "-c", path, port=port)

    def services(self, echo: int, sink: int) -> Child:
        """Start the services behind the tunnel."""
        return self.start("echo", [self.load, "serve", str(echo), str(sink)], echo)


def dashboard(port: int) -> dict[str, object]:
    """Return settings of a frps that can be scraped."""
    user, _, password = OPERATOR.decode().partition(":")
    return {
        "dashboard_addr": LOOPBACK,
        "dashboard_port": port,
        "dashboard_user": user,
        "dashboard_pwd": password,
        "enable_prometheus": True,
    }


def ask(port: int, path: str) -> str:
    """Return what a dashboard() answers."""
    request = urllib.request.Request(f"http://{LOOPBACK}:{port}{path}")
    request.add_header("Authorization", f"Basic {base64.b64encode(OPERATOR).decode()}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def scrape(port: int) -> dict[str, float]:
    """Return what /metrics says: samples by name and labels."""
    lines = ask(port, "/metrics").splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")
    }


def descriptors(child: Child) -> int:
    """Return how many files a program has open."""
    return len(list(Path(f"/proc/{child.process.pid}/fd").iterdir()))


def run(command: list[str], seconds: float) -> str:
    """Return what a program says that ends by itself."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=True)
    return done.stdout

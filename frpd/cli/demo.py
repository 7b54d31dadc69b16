"""The demo behind ./quickstart: frps, frpc and a web page on this machine, with etc/frp as it is.

Starts the three as processes of their own, exactly as an operator would, asks for the page through
the tunnel, says where everything listens, and on Ctrl-C stops what it started. It knows the
programs by their command lines only.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from frpd.cli.demo_page import MARK_HEADER
from frpd.config.load_client import load_client
from frpd.config.load_server import load_server
from frpd.config.proxies import TcpProxyConfig
from frpd.errors import FrpError
from frpd.net.address import join_host_port
from frpd.net.listener import ListenError, bind_tcp
from frpd.net.port_holder import port_holder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

LOOPBACK: Final = "127.0.0.1"
START_SECONDS: Final = 20.0  # a machine in emulation needs most of it
STOP_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.05
TAIL_LINES: Final = 20
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_say = partial(print, flush=True)  # progress is wanted while it happens, also in a pipe


class DemoError(FrpError):
    """The demo cannot run; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the two files say that the demo must know.

    Attributes:
        server_ini: what frps is started with.
        client_ini: what frpc is started with.
        server_port: where frps waits for frpc.
        exposed: frps would listen on more than loopback, with the well-known token of a sample.
        page: the proxy that leads to the web page.
        others: the other tcp proxies of the file.
    """

    server_ini: Path
    client_ini: Path
    server_port: int
    exposed: bool
    page: TcpProxyConfig
    others: tuple[TcpProxyConfig, ...]

    @property
    def url(self) -> str:
        """Where the page answers through the tunnel."""
        return f"http://{LOOPBACK}:{self.page.remote_port}/"


def make_plan(etc: Path, proxy_name: str = "web") -> Plan:
    """Read the two files and find what the demo needs in them.

    Raises:
        ConfigError: a file cannot be used.
        DemoError: a file is fine, but not one that the demo can run.
    """
    server_ini, client_ini = etc / "frps.ini", etc / "frpc.ini"
    server = load_server(str(server_ini)).value
    client = load_client(str(client_ini)).value
    if client.common.server_addr not in {LOOPBACK, "localhost", "0.0.0.0"}:  # noqa: S104 - compared
        raise DemoError(
            f"{client_ini} names the server {client.common.server_addr}; "
            f"the demo runs both ends here: server_addr = {LOOPBACK}"
        )
    if client.common.server_port != server.bind_port:
        raise DemoError(
            f"{client_ini} says server_port = {client.common.server_port}, "
            f"but {server_ini} says bind_port = {server.bind_port}"
        )
    proxies = [proxy for proxy in client.proxies if isinstance(proxy, TcpProxyConfig)]
    for page in proxies:
        if page.section == proxy_name:
            others = tuple(proxy for proxy in proxies if proxy is not page)
            exposed = {server.bind_addr, server.proxy_bind_addr} != {LOOPBACK}
            return Plan(server_ini, client_ini, server.bind_port, exposed, page, others)
    raise DemoError(f"{client_ini} has no section [{proxy_name}] of type tcp for the web page")


def on_loopback(text: str) -> str:
    """Return a frps.ini that binds loopback addresses only, and else says what ``text`` says."""
    text = re.sub(r"(?m)^[ \t]*(proxy_)?bind_addr[ \t]*[=:].*\n?", "", text)
    addresses = f"bind_addr = {LOOPBACK}\nproxy_bind_addr = {LOOPBACK}\n"
    return re.sub(r"(?m)^([ \t]*\[common\].*)(\n|\Z)", rf"\1\n{addresses}", text, count=1)


def check_ports(plan: Plan) -> None:
    """Find out before anything starts whether a port is taken, and say by whom.

    Raises:
        DemoError: at least one is; all of them are named.
    """
    wanted = [
        (plan.server_port, f"bind_port in {plan.server_ini}"),
        (plan.page.local_port, f"local_port of [{plan.page.section}] in {plan.client_ini}"),
    ]
    wanted += [
        (proxy.remote_port, f"remote_port of [{proxy.section}] in {plan.client_ini}")
        for proxy in (plan.page, *plan.others)
        if proxy.remote_port
    ]
    taken = []
    for port, meaning in wanted:
        try:
            bind_tcp(LOOPBACK, port).close()
        except ListenError:
            holder = port_holder(port) or "another process"
            taken.append(f"port {port} ({meaning}) is taken by {holder}")
    if taken:
        raise DemoError("\n".join([*taken, "Stop what holds it, or write another port there."]))


@dataclass(slots=True)
class Child:
    """A process that the demo started, with its output in a file."""

    name: str
    process: subprocess.Popen[bytes]
    output: Path

    def check(self) -> None:
        """Raise DemoError with the last lines of the output if the process has ended."""
        code = self.process.poll()
        if code is not None:
            raise DemoError(f"{self.name} ended with status {code}. Its last lines:\n{self.tail()}")

    def tail(self) -> str:
        """Return the last lines of the output, indented."""
        lines = self.output.read_text("utf-8", "replace").splitlines()[-TAIL_LINES:]
        return "\n".join(f"    {line}" for line in lines) or "    (it said nothing)"

    def stop(self) -> None:
        """Ask the process to end, and insist after a while."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Stage:
    """Starts processes and stops them in the opposite order when the block is left."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="frpd-demo-")
        self.folder = Path(self._folder.name)
        self.children: list[Child] = []

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_exc: object) -> None:
        with _signals(signal.SIG_IGN):  # a second Ctrl-C must not leave half of it running
            for child in reversed(self.children):
                child.stop()
        self._folder.cleanup()

    def start(self, name: str, command: Sequence[str]) -> Child:
        """Start a process in a session of its own, so that Ctrl-C reaches the demo alone."""
        output = self.folder / f"{name}.log"
        with output.open("wb") as sink:
            process = _spawn(command, sink)
        child = Child(name, process, output)
        self.children.append(child)
        return child

    def wait_until(self, what: str, probe: Callable[[], bool]) -> None:
        """Poll until ``probe`` holds.

        Raises:
            DemoError: a process ended, or START_SECONDS went by.
        """
        deadline = time.perf_counter() + START_SECONDS
        while not probe():
            for child in self.children:
                child.check()
            if time.perf_counter() > deadline:
                said = "\n".join(f"{child.name}:\n{child.tail()}" for child in self.children)
                raise DemoError(f"{what} did not happen within {START_SECONDS:.0f} s.\n{said}")
            time.sleep(POLL_SECONDS)


def _spawn(command: Sequence[str], sink: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own programs
        command,
        stdin=subprocess.DEVNULL,
        stdout=sink,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def listens(port: int) -> bool:
    """Tell whether something accepts connections on a loopback port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def answers(port: int, mark: str) -> bool:
    """Tell whether our page (known by its mark) answers on a loopback port."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return response.status == http.client.OK and response.headers[MARK_HEADER] == mark


def start_all(stage: Stage, plan: Plan) -> float:
    """Start page, frps and frpc, each when the one before it is ready.

    Returns:
        Seconds that one request through the tunnel took.
    """
    mark = secrets.token_hex(8)
    _say(f"==> starting the web page on {LOOPBACK}:{plan.page.local_port}")
    module = "frpd.cli.demo_page"
    stage.start("web page", [sys.executable, "-m", module, str(plan.page.local_port), mark])
    stage.wait_until("the web page's start", lambda: answers(plan.page.local_port, mark))
    server_ini = plan.server_ini
    _say(f"==> starting frps -c {server_ini}{', on loopback only' if plan.exposed else ''}")
    if plan.exposed:
        server_ini = stage.folder / "frps.ini"
        server_ini.write_text(on_loopback(plan.server_ini.read_text("utf-8")), "utf-8")
    stage.start("frps", [*_program("frps"), "-c", str(server_ini)])
    stage.wait_until("the start of frps", lambda: listens(plan.server_port))
    _say(f"==> starting frpc -c {plan.client_ini}")
    stage.start("frpc", [*_program("frpc"), "-c", str(plan.client_ini)])
    _say(f"==> asking for the page through the tunnel: {plan.url}")
    stage.wait_until("an answer through the tunnel", lambda: answers(plan.page.remote_port, mark))
    begun = time.perf_counter()
    if not answers(plan.page.remote_port, mark):
        raise DemoError("the tunnel answered once and then no more")
    return time.perf_counter() - begun


def _program(name: str) -> list[str]:
    """Return how to start one of our programs: as installed beside this Python, or as a module."""
    installed = Path(sys.executable).with_name(name)
    return [str(installed)] if installed.exists() else [sys.executable, "-m", f"frpd.cli.{name}"]


def status_table(plan: Plan, children: Sequence[Child], answer_seconds: float) -> str:
    """Return what runs and which tunnels stand, for people."""
    waits = {"web page": plan.page.local_port, "frps": plan.server_port}
    programs = [("PROGRAM", "PID", "LISTENS ON")]
    for child in children:
        where = join_host_port(LOOPBACK, waits[child.name]) if child.name in waits else "-"
        programs.append((child.name, str(child.process.pid), where))
    tunnels = [("PROXY", "VISITORS CONNECT TO", "LOCAL SERVICE", "STATE")]
    for proxy in (plan.page, *plan.others):
        entry = join_host_port(LOOPBACK, proxy.remote_port) if proxy.remote_port else "any port"
        service = join_host_port(proxy.local_ip, proxy.local_port)
        if proxy is plan.page:
            state = f"answers, in {answer_seconds * 1000:.1f} ms"
        else:
            state = "open" if proxy.remote_port and listens(proxy.remote_port) else "not checked"
        tunnels.append((proxy.name, entry, service, state))
    return f"{_columns(programs)}\n\n{_columns(tunnels)}"


def _columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(f"  {line}".rstrip() for line in lines)


def run(plan: Plan, *, once: bool) -> None:
    """Run the demo until interrupted, or only until it has proved itself.

    Raises:
        DemoError: something did not start, did not answer, or ended early.
    """
    with Stage() as stage:
        answer_seconds = start_all(stage, plan)
        _say(f"\n{status_table(plan, stage.children, answer_seconds)}\n")
        _say(f"The page came through the tunnel. Open {plan.url}")
        if not once:
            _say("Ctrl-C stops everything.")
            with contextlib.suppress(KeyboardInterrupt):
                _watch(stage)
        _say("\n==> stopping")
    _say("==> stopped: frpc, frps and the web page are gone")


def _watch(stage: Stage) -> None:
    while True:
        for child in stage.children:
            child.check()
        time.sleep(4 * POLL_SECONDS)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _signals(handler: signal.Handlers | Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = [(number, signal.signal(number, handler)) for number in STOP_SIGNALS]
    try:
        yield
    finally:
        for number, old in before:
            signal.signal(number, old)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; 0 when the page came through the tunnel and all was stopped again."""
    parser = argparse.ArgumentParser(prog="quickstart", description="frpd on this machine, to see.")
    parser.add_argument("--once", action="store_true", help="check that it works, and stop")
    parser.add_argument("--etc", type=Path, default=Path("etc/frp"), help="folder of the ini files")
    options = parser.parse_args(argv)
    try:
        with _signals(_interrupt):
            plan = make_plan(options.etc)
            check_ports(plan)
            run(plan, once=options.once)
    except FrpError as exc:
        print(f"\nquickstart: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        _say("\n==> stopped before the tunnel stood")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A lab of network namespaces: two private hosts behind two NATs, and a public server.

    a 10.81.1.2 -- nat_a 203.0.113.11 --+
                                        +-- wan -- server 203.0.113.1 and .2
    b 10.82.1.2 -- nat_b 203.0.113.12 --+

Names of namespaces are this process's own, and all of them are removed at the end. Needs
root, ip and nft.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.programs import Program
from tests.helpers.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
SERVER, SERVER_TOO = "203.0.113.1", "203.0.113.2"
PUBLIC = {"a": "203.0.113.11", "b": "203.0.113.12"}
PRIVATE = {"a": "10.81.1", "b": "10.82.1"}
_CLONE_NEWNET = 0x4000_0000
_RUN = Path("/run/netns")
_numbers = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)

KINDS = ("open", "full", "addr", "cone", "symmetric", "blocked")
"""What a NAT does to UDP.

open       there is none: the host is routed, and has a public address
full       one outer port for all peers, and anyone may send to it
addr       one outer port, to which any port of an address that was sent to may send
cone       one outer port, to which only an address and port that was sent to may send
symmetric  another outer port for each peer, and as cone
blocked    no UDP passes
"""

# A datagram that finds no mapping is dropped on the NAT itself: if it got an answer, or an
# entry of its own, it would take the very port that the inner host is about to use.
_RULES = """
table ip lab {{
    {spoken_to}
    chain inward {{ type nat hook prerouting priority dstnat; {inward} }}
    chain outward {{ type nat hook postrouting priority srcnat; oifname "wan" masquerade {ports}; }}
    chain through {{
        type filter hook forward priority filter;
        {through}
        iifname "wan" ct state new ct status & dnat != dnat drop
    }}
    chain here {{ type filter hook input priority filter; iifname "wan" ct state new drop; }}
}}
"""


def need_nat_lab() -> None:
    """Skip the test where no lab can be built."""
    if os.geteuid() != 0:
        pytest.skip("a NAT lab needs root")
    for tool in ("ip", "nft"):
        if shutil.which(tool, path=PATH) is None:
            pytest.skip(f"a NAT lab needs {tool}")
    probe = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("no network namespaces here")


class NatLab:
    """The lab; use it by ``with``.

    Args:
        a: of KINDS, what is between host ``a`` and the others.
        b: the same of host ``b``.
    """

    def __init__(self, a: str, b: str) -> None:
        self._kinds = {"a": a, "b": b}
        self._tag = f"frpd{os.getpid():x}x{next(_numbers)}"

    def name_of(self, host: str) -> str:
        """Return the name of a host's namespace: server, a, b, nat_a, nat_b or wan."""
        return f"{self._tag}-{host}"

    def command(self, host: str, *words: str) -> list[str]:
        """Return what runs a command on a host."""
        return [_tool("ip"), "netns", "exec", self.name_of(host), *words]

    def socket(self, host: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """Return a socket of this process that lives on a host."""
        with open("/proc/thread-self/ns/net") as home, (_RUN / self.name_of(host)).open() as there:
            _enter(there.fileno())
            try:
                return socket.socket(socket.AF_INET, kind)
            finally:
                _enter(home.fileno())

    def __enter__(self) -> NatLab:
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def _build(self) -> None:
        for host in ("wan", "server", "nat_a", "nat_b", "a", "b"):
            _ip("netns", "add", self.name_of(host))
            self._ip(host, "link set lo up")
        self._ip("wan", "link add street type bridge", "link set street up")
        self._plug("server", f"{SERVER}/24", f"{SERVER_TOO}/24")
        for side in ("a", "b"):
            self._plug(f"nat_{side}", f"{PUBLIC[side]}/24")
            self._house(side)
        for side in ("a", "b"):
            self._mind(side)

    def _plug(self, host: str, *addresses: str) -> None:
        """Connect a host to the street."""
        name = self.name_of("wan")
        self._ip(host, f"link add wan type veth peer name {host} netns {name}")
        self._ip(host, *(f"addr add {one} dev wan" for one in addresses), "link set wan up")
        self._ip("wan", f"link set {host} master street", f"link set {host} up")

    def _house(self, side: str) -> None:
        """Put a host behind its NAT."""
        nat, net = f"nat_{side}", PRIVATE[side]
        self._ip(nat, f"link add lan type veth peer name eth0 netns {self.name_of(side)}")
        self._ip(nat, f"addr add {net}.1/24 dev lan", "link set lan up")
        self._ip(
            side,
            f"addr add {net}.2/24 dev eth0",
            "link set eth0 up",
            f"route add default via {net}.1",
        )
        self._run(nat, "sysctl", "-qw", "net.ipv4.ip_forward=1")

    def _mind(self, side: str) -> None:
        """Have the NAT do what its kind does."""
        kind, nat, inner = self._kinds[side], f"nat_{side}", f"{PRIVATE[side]}.2"
        if kind == "open":
            for host in {"server", "nat_a", "nat_b"} - {nat}:
                self._ip(host, f"route add {PRIVATE[side]}.0/24 via {PUBLIC[side]}")
            return
        rules = {"spoken_to": "", "inward": "", "through": "", "ports": ""}
        if kind == "full":
            rules["inward"] = f'iifname "wan" meta l4proto udp dnat to {inner};'
        elif kind == "addr":
            rules["spoken_to"] = "set peers { type ipv4_addr; flags dynamic, timeout; timeout 5m; }"
            rules["inward"] = f'iifname "wan" meta l4proto udp ip saddr @peers dnat to {inner};'
            rules["through"] = 'oifname "wan" meta l4proto udp update @peers { ip daddr }'
        elif kind == "symmetric":
            rules["ports"] = "fully-random"
        elif kind == "blocked":
            rules["through"] = "meta l4proto udp drop"
        self._run(nat, _tool("nft"), "-f", "-", told=_RULES.format(**rules))

    def _remove(self) -> None:
        for host in ("a", "b", "nat_a", "nat_b", "server", "wan"):
            command = [_tool("ip"), "netns", "del", self.name_of(host)]
            subprocess.run(command, capture_output=True, check=False)

    def _ip(self, host: str, *lines: str) -> None:
        told = "".join(f"{line}\n" for line in lines)
        _ip("-n", self.name_of(host), "-batch", "-", told=told)

    def _run(self, host: str, *words: str, told: str = "") -> None:
        subprocess.run(self.command(host, *words), input=told, text=True, check=True)


class LabStage(Stage):
    """A stage whose programs run on the host that ``on`` names.

    Args:
        folder: for the files of the scenario.
        lab: where the hosts are.
    """

    def __init__(self, folder: Path, lab: NatLab) -> None:
        super().__init__(folder)
        self.lab = lab
        self.on = "server"

    def start(
        self,
        name: str,
        *command: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Program:
        """See Stage.start."""
        return super().start(name, *self.lab.command(self.on, *command), env=env, cwd=cwd)


def _tool(name: str) -> str:
    return shutil.which(name, path=PATH) or name


def _ip(*words: str, told: str = "") -> None:
    subprocess.run([_tool("ip"), *words], input=told, text=True, check=True)


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "cannot enter a network namespace")

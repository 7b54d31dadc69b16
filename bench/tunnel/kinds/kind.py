"""What a kind of tunnel has to say of itself to be compared."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from bench.tunnel.settings import Ports, Setting


@dataclass(frozen=True, slots=True)
class Task:
    """One tunnel to be made: of what, for what, with files in which folder.

    Attributes:
        extra: lines of ``--set``.
    """

    name: str
    server: tuple[str, ...]
    client: tuple[str, ...]
    extra: tuple[str, ...]
    setting: Setting
    ports: Ports
    folder: Path

    def path(self, ending: str) -> Path:
        """Return where a file of this tunnel's own belongs; no program stumbles over its name."""
        return self.folder / f"{re.sub(r'[^A-Za-z0-9.]+', '-', self.name)}-{ending}"

    def write(self, ending: str, text: str) -> str:
        """Write a file of this tunnel's own; return its path."""
        path = self.path(ending)
        path.write_text(text, encoding="utf-8")
        return str(path)

    @property
    def service(self) -> int:
        """The port of the service behind the proxy under measurement."""
        port: int = getattr(self.ports, self.setting.proxy.service)
        return port

    def services(self) -> Iterator[tuple[str, int, int]]:
        """Yield name, way in and service: the proxy that is measured, and one for looking."""
        yield "probe", self.ports.probe, self.ports.echo
        yield "measured", self.ports.entrance, self.service


def _own_bind(ports: Ports) -> int:
    return ports.bind


@dataclass(frozen=True, slots=True)
class Kind:
    """How to run two ends that carry connections from one port to another.

    Attributes:
        about: one line for people.
        programs: the server's and the client's, where ``--impl`` names none.
        commands: writes what both ends need; returns their commands.
        lacks: what it cannot do of ``asked``, each with its own reason.
        note: what a reader of its figures has to know.
        door: the port on which the server listens once it is up.
    """

    about: str
    programs: tuple[str, str]
    commands: Callable[[Task], tuple[list[str], list[str]]]
    lacks: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    door: Callable[[Ports], int] = _own_bind

    def refusal(self, setting: Setting) -> str:
        """Return why this cannot serve the setting; nothing if it can."""
        return next((self.lacks[one] for one in asked(setting) if one in self.lacks), "")


def asked(setting: Setting) -> list[str]:
    """Return what the setting wants beyond a tcp proxy: udp, http, kcp, use_encryption, ..."""
    wants = [one for one in (setting.proxy.kind, setting.protocol) if one != "tcp"]
    wants += [line.partition("=")[0].strip() for line in setting.proxy.lines]
    return wants if setting.tcp_mux else [*wants, "no mux"]

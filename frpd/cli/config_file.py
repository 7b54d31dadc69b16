"""The file that a program was started with: what a reload reads again."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from frpd.config.ini import Dialect
from frpd.config.load import DIALECT_VARIABLE, Loaded

if TYPE_CHECKING:
    from frpd.config.client import ClientSetup
    from frpd.config.server import ServerConfig


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file of ``-c``.

    Attributes:
        path: absolute, since a daemon leaves its folder.
        dialect: of ``--ini_dialect``, if it was given.
        folder: where the program was started; relative ``includes`` begin there.
    """

    path: str
    dialect: str | None = None
    folder: str = ""

    @classmethod
    def named(cls, path: str, dialect: str | None) -> ConfigFile:
        """Return the file of a path that was typed."""
        folder = ""
        with contextlib.suppress(OSError):  # it may have been removed meanwhile
            folder = os.getcwd()
        return cls(os.path.abspath(path), dialect, folder)

    @property
    def era(self) -> str:
        """How it is read: ``old`` or ``new``."""
        return self.dialect or os.environ.get(DIALECT_VARIABLE) or Dialect.NEW.value

    @contextlib.contextmanager
    def holding(self, text: str) -> Iterator[ConfigFile]:
        """Lend a file with another text in this one's place; on no disk, for there are secrets."""
        with open(os.memfd_create("frpd-config"), "wb", buffering=0) as file:
            file.write(text.encode("utf-8", "replace"))
            yield replace(self, path=f"/proc/self/fd/{file.fileno()}")

    def load_server(self, *, strict: bool = False) -> Loaded[ServerConfig]:
        """Read it as frps.ini. Any thread.

        Raises:
            ConfigError: it cannot be used.
        """
        from frpd.config.load_server import load_server  # noqa: PLC0415 - of one end only

        return load_server(self.path, dialect=self.dialect, strict=strict)

    def load_client(self, *, strict: bool = False) -> Loaded[ClientSetup]:
        """Read it as frpc.ini. Any thread.

        Raises:
            ConfigError: it cannot be used.
        """
        from frpd.config.load_client import load_client  # noqa: PLC0415 - of one end only

        return load_client(self.path, dialect=self.dialect, strict=strict, start=self.folder)

    def check_client(self, path: str) -> None:
        """Read another file in this one's place. Any thread.

        Raises:
            ConfigError: it cannot be used.
        """
        from frpd.config.load_client import load_client  # noqa: PLC0415 - of one end only

        load_client(path, dialect=self.dialect, start=self.folder)

"""Endpoints: the configuration file of a client, read and replaced."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from frpd.admin.config_view import client_view
from frpd.admin.frpc.desk import ClientDesk
from frpd.admin.frpc.masking import masked, unmasked
from frpd.admin.reloading import check_with
from frpd.admin.web_app import AdminApp, ApiError, Reply, body_text, flag
from frpd.errors import ConfigError

COMMON = "[common]"


def register(app: AdminApp, desk: ClientDesk) -> None:
    """Register the group."""

    def path() -> str:
        if not desk.config_file:
            raise ApiError(400, "frpc has no config file path")
        return os.path.realpath(desk.config_file)

    def show() -> Reply:
        return Reply(masked(without_token(_read(path()))))

    def replace() -> Reply:
        body = body_text()
        if not body:
            raise ApiError(400, "body can't be empty")
        target = path()
        old = _read(target)
        check = desk.check if flag("check") else None
        try:
            text = with_token_of(old, unmasked(old, body))
            _replace(target, text, check)
        except ConfigError as error:
            raise ApiError(400, str(error)) from error
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ApiError(500, f"write {target}: {reason}") from error
        return Reply()

    def as_loaded() -> dict[str, object]:
        service = desk.service
        return {
            "file": desk.config_file,
            "dialect": desk.dialect,
            **client_view(service.config, service.setup),
        }

    def complete(text: str) -> str:
        old = _read(path())
        return to_check(old, unmasked(old, text))

    check_with(app, desk.calls, desk.plan, complete)
    app.get("/api/frpd/config", as_loaded)
    app.get("/api/config", show)
    app.change("PUT", "/api/config", replace)


def without_token(text: str) -> str:
    """Return a file's text without the lines that begin with ``token``."""
    return "".join(line for line in text.splitlines(keepends=True) if not _is_token(line))


def with_token_of(old: str, new: str) -> str:
    """Return a new text with the token lines of the old one, right below ``[common]``.

    Token lines of the new text are dropped: who may edit the file by this API need not
    know the token, and cannot change it.
    """
    tokens = [line.strip() for line in old.splitlines() if _is_token(line)]
    lines = [line for line in new.splitlines(keepends=True) if not _is_token(line)]
    for index, line in enumerate(lines):
        if line.strip() == COMMON:
            lines[index] = line.rstrip("\r\n") + "\n"
            lines[index + 1 : index + 1] = [f"{token}\n" for token in tokens]
            break
    return "".join(lines)


def to_check(old: str, new: str) -> str:
    """Return what with_token_of makes of a new text, but with each line where it was.

    Who checks a text wants to hear of lines as they are on the screen. So the token comes
    behind everything: sections of one name are one to both dialects.
    """
    lines = new.splitlines(keepends=True)
    text = "".join("\n" if _is_token(line) else line for line in lines)
    if all(line.strip() != COMMON for line in lines):
        return text
    tokens = [line.strip() for line in old.splitlines() if _is_token(line)]
    return "\n".join([text, COMMON, *tokens, ""])


def _is_token(line: str) -> bool:
    return line.strip().startswith("token")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ApiError(400, f"open {path}: {reason}") from error


def _replace(path: str, text: str, check: Callable[[str], object] | None) -> None:
    """Put a text in the place of a file, in one step, with its mode and owner.

    Raises:
        ConfigError: the check did not like it; the file is as it was.
        OSError: so is it then.
    """
    status = os.stat(path)
    fd, temporary = tempfile.mkstemp(prefix=".frpc-", suffix=".ini", dir=os.path.dirname(path))
    try:
        with open(fd, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fchmod(fd, status.st_mode & 0o7777)
            with contextlib.suppress(PermissionError):  # then it is ours from now on
                os.fchown(fd, status.st_uid, status.st_gid)
            os.fsync(fd)
        if check is not None:
            check(temporary)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise

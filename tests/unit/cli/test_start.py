"""frpd.cli.start: what is said of errors at a start, and what SIGHUP does without a file."""

from __future__ import annotations

import errno
import logging
import os

import pytest

from frpd.cli import start
from frpd.cli.config_file import ConfigFile
from frpd.errors import ConfigError
from frpd.net.listener import ListenError


def refused(number: int) -> ListenError:
    return ListenError("127.0.0.1:7000", OSError(number, os.strerror(number)))


def test_who_holds_a_taken_port_is_named_if_that_can_be_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = refused(errno.EADDRINUSE)
    monkeypatch.setattr(start, "port_holder", lambda port: f"nginx on {port}")
    assert start.explain(error, 7000) == f"{error}; the port is held by nginx on 7000"
    monkeypatch.setattr(start, "port_holder", lambda _port: "")
    assert start.explain(error, 7000) == str(error)


def test_nobody_holds_an_address_that_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "port_holder", lambda _port: "nginx")
    error = refused(errno.EADDRNOTAVAIL)
    assert start.explain(error, 7000) == str(error)


def test_an_error_has_the_number_of_what_is_behind_it() -> None:
    error = ConfigError("no port")
    assert start.errno_of(error) is None
    error.__cause__ = refused(errno.EADDRINUSE)
    assert start.errno_of(error) == errno.EADDRINUSE


def test_without_a_file_a_hang_up_is_answered_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        start.hang_up(None)()
    assert "SIGHUP: there is no file to read again" in caplog.text


def test_a_control_socket_has_the_name_of_its_file() -> None:
    assert start.socket_name(ConfigFile.named("/etc/frp/edge.ini", None), "frps") == "edge"
    assert start.socket_name(None, "frps") == "frps"

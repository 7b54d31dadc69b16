"""What speaks on a port that does not speak frp."""

from __future__ import annotations

import socket

import pytest

from frpd.cli.doctor.banner import greeting, name_of
from tests.helpers.frp_listeners import Peer, says
from tests.helpers.ports import free_port


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "an SSH server (SSH-2.0-OpenSSH_9.2p1)"),
        (b"HTTP/1.1 400 Bad Request\r\nServer: nginx/1.2\r\n\r\n", "an HTTP server (nginx/1.2)"),
        (b"HTTP/1.0 200 OK\r\n\r\n", "an HTTP server (HTTP/1.0 200 OK)"),
        (b"220 mail.example.com ESMTP\r\n", "a mail or FTP server (220 mail.example.com ESMTP)"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "a TLS server of another kind"),
        (b"SSH-2.0-\x1b[2Jevil\r\n", "an SSH server"),
        (b"HTTP/1.0 200 \xff\r\n\r\n", "an HTTP server"),
        (b"something else", ""),
        (b"", ""),
    ],
)
def test_the_first_words_tell_and_nothing_of_them_harms_a_terminal(said: bytes, name: str) -> None:
    assert name_of(said) == name


def test_who_greets_is_heard() -> None:
    with Peer(says(b"SSH-2.0-x\r\n")) as service:
        assert greeting("127.0.0.1", service.port) == b"SSH-2.0-x\r\n"


def test_who_waits_to_be_asked_is_asked() -> None:
    def web(sock: socket.socket) -> None:
        sock.recv(4096)
        sock.sendall(b"HTTP/1.0 404 Not Found\r\n\r\n")

    with Peer(web) as service:
        assert greeting("127.0.0.1", service.port, 0.2).startswith(b"HTTP/1.0 404")


def test_nobody_says_nothing() -> None:
    assert greeting("127.0.0.1", free_port()) == b""

"""Every kind of tcp proxy carries binary data both ways, over tcp_mux and without it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.stage import WRAPPERS, Stage, tcp
from tests.helpers.visitors import exchange, visit

if TYPE_CHECKING:
    from collections.abc import Iterator

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module", params=[True, False], ids=["mux", "direct"])
def ports(
    request: pytest.FixtureRequest, module_stage: Stage, echo_port: int
) -> Iterator[dict[str, int]]:
    """The visitors' port of a proxy with each wrapper."""
    common = {"token": "s3cret", "tcp_mux": request.param}
    bind_port = free_port()
    ports = {wrapper: free_port() for wrapper in WRAPPERS}
    module_stage.frps({"bind_addr": "127.0.0.1", "bind_port": bind_port, **common})
    module_stage.frpc(
        {"server_addr": "127.0.0.1", "server_port": bind_port, **common},
        {name: {**tcp(echo_port, ports[name]), **WRAPPERS[name]} for name in WRAPPERS},
    )
    yield ports
    module_stage.close()


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_binary_data_comes_back_as_it_was(ports: dict[str, int], wrapper: str) -> None:
    data = os.urandom(4 * MEBIBYTE) + bytes(range(256)) * 12_288 + b"a" * MEBIBYTE
    with visit(ports[wrapper]) as visitor:
        assert exchange(visitor, data) == data


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_single_bytes_are_not_held_back(ports: dict[str, int], wrapper: str) -> None:
    with visit(ports[wrapper]) as visitor:
        for number in range(256):
            assert exchange(visitor, bytes([number])) == bytes([number])


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_many_visitors_at_once_get_their_own_bytes(ports: dict[str, int], wrapper: str) -> None:
    visitors = [visit(ports[wrapper]) for _ in range(20)]
    words = [os.urandom(10_000) for _ in visitors]
    for visitor, word in zip(visitors, words, strict=True):
        visitor.sendall(word)
    for visitor, word in zip(visitors, words, strict=True):
        with visitor:
            got = b""
            while len(got) < len(word):
                got += visitor.recv(len(word)) or pytest.fail("the end came too early")
            assert got == word


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_gigabit_comes_back_as_it_was(ports: dict[str, int], wrapper: str) -> None:
    data = os.urandom(64 * MEBIBYTE) + b"0123456789abcdef" * (4 * MEBIBYTE)
    with visit(ports[wrapper]) as visitor:
        assert exchange(visitor, data, 240) == data

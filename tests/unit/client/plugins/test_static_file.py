"""Plugin static_file on a whole client."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from frpd.client.plugins import static_file
from frpd.client.plugins.static_file import StaticFileProxy
from frpd.client.proxy_table import Phase
from frpd.config.params import Params
from frpd.errors import LimitError
from frpd.proto.ciphers import IV_BYTES, derive_key
from frpd.proto.native import FEATURES
from frpd.proto.wrappers import wrapper_stack
from tests.helpers.peers import TOKEN, Talker
from tests.helpers.world import World
from tests.unit.client.conftest import world
from tests.unit.client.home import Home

__all__ = ["world"]

KIB, MIB = 1024, 1024 * 1024
FRPD = {"frpd": {"v": 1, "chosen": sorted(FEATURES)}}
GET = b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n"

both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])
both_peers = pytest.mark.parametrize("answer", [{}, FRPD], ids=["go", "frpd"])


def home_of(world: World, folder: Path, *, mux: bool = True, **fields: Any) -> Home:
    """Return a client with one proxy that serves a folder."""
    params = Params({"plugin_local_path": str(folder), **fields.pop("params", {})})
    proxy = {"local_port": 0, "plugin": "static_file", "plugin_params": params, **fields}
    return Home(world, mux=mux, proxy=proxy)


def server_of(home: Home) -> StaticFileProxy:
    server = home.service.table.entries["web"].server
    assert isinstance(server, StaticFileProxy)
    return server


def until(world: World, work: Talker, ending: bytes) -> None:
    world.until(lambda: work.payload.endswith(ending), repr(ending))


@both_kinds
@both_peers
def test_visitors_get_files(
    world: World, tmp_path: Path, mux: bool, answer: dict[str, object]
) -> None:
    (tmp_path / "a").write_bytes(b"content")
    home = home_of(world, tmp_path, mux=mux)
    work = home.running(**answer).start_work(glued=GET % b"a")
    until(world, work, b"\r\n\r\ncontent")
    work.stream.write(GET % b"nope")
    world.until(lambda: b"HTTP/1.1 404" in work.payload)
    counters = server_of(home).counters
    assert (counters.connections_open, counters.connections_total) == (1, 1)
    home.service.close()


@both_kinds
def test_large_files_pass(world: World, tmp_path: Path, mux: bool) -> None:
    content = os.urandom(4 * MIB)
    (tmp_path / "a").write_bytes(content)
    home = home_of(world, tmp_path, mux=mux)
    work = home.running(**FRPD).start_work(glued=b"GET /a HTTP/1.0\r\n\r\n")
    work.until_end()
    assert bytes(work.payload).endswith(content)
    world.advance(1)
    world.until(lambda: not server_of(home).counters.connections_open)
    assert server_of(home).counters.bytes_out == len(work.payload)


def test_files_pass_through_ciphers_and_compression(world: World, tmp_path: Path) -> None:
    content = os.urandom(300 * KIB)
    (tmp_path / "a").write_bytes(content)
    home = home_of(world, tmp_path, use_encryption=True, use_compression=True)
    session = home.session().accept()
    session.accept_proxies()
    theirs = wrapper_stack(key=derive_key(TOKEN), compress=True, iv=b"s" * IV_BYTES)
    data = GET % b"a"
    for codec in theirs:
        data = codec.encode(data)
    work = session.start_work(glued=data)
    plain = bytearray()

    def come() -> bool:
        data, work.payload[:] = bytes(work.payload), b""
        for codec in reversed(theirs):
            data = codec.decode(data)
        plain.extend(data)
        return plain.endswith(content)

    world.until(come)
    home.service.close()


def test_all_settings_have_their_effect(world: World, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    params = {
        "plugin_strip_prefix": "static",
        "plugin_http_user": "al",
        "plugin_http_passwd": "b",
    }
    work = home_of(world, tmp_path, params=params).running().start_work(glued=GET % b"static/a")
    world.until(lambda: b"HTTP/1.1 401" in work.payload)
    login = b"Authorization: Basic YWw6Yg==\r\n\r\n"
    work.stream.write(b"GET /static/a HTTP/1.1\r\nHost: h\r\n" + login)
    until(world, work, b"\r\n\r\ncontent")


def test_without_a_folder_the_proxy_does_not_start(world: World, tmp_path: Path) -> None:
    home = Home(world, proxy={"local_port": 0, "plugin": "static_file"})
    session = home.session().accept()
    world.settle()
    entry = home.service.table.entries["web"]
    assert entry.error == "plugin_local_path not found"
    world.until(lambda: entry.phase is Phase.START_ERROR)
    assert session.control.stream.end == ""


def test_who_waits_is_let_go_and_who_is_served_is_served(world: World, tmp_path: Path) -> None:
    content = os.urandom(8 * MIB)
    (tmp_path / "a").write_bytes(content)
    home = home_of(world, tmp_path)
    session = home.running(**FRPD)
    idle, busy = session.start_work(), session.start_work(glued=GET % b"a")
    world.until(lambda: len(busy.payload) > 0)
    server = server_of(home)
    server.close()
    server.close()
    busy.until_end()
    assert bytes(busy.payload).endswith(content)
    idle.until_end()
    world.advance(1)  # nobody has closed anything
    world.until(lambda: not server.counters.connections_open)
    with pytest.raises(LimitError, match="closed"):
        server._pool.submit(int, print, print)
    session.start_work().until_end()


def test_after_a_change_answers_are_finished_and_no_request_is_taken(
    world: World, tmp_path: Path
) -> None:
    content = os.urandom(8 * MIB)
    (tmp_path / "a").write_bytes(content)
    home = home_of(world, tmp_path)
    session = home.running(**FRPD)
    idle, busy = session.start_work(), session.start_work(glued=GET % b"a" + GET % b"nope")
    served = session.start_work(glued=GET % b"nope")
    world.until(lambda: len(busy.payload) > 0 and len(served.payload) > 0)
    server = server_of(home)
    server.retire()
    served.stream.write(GET % b"nope")
    for visitor in (idle, busy, served):
        visitor.until_end()
    assert not idle.payload
    assert bytes(busy.payload).endswith(content)
    assert served.payload.count(b"HTTP/1.1") == 1
    world.advance(1)  # nobody has closed anything
    world.until(lambda: not server.counters.connections_open)
    home.service.close()


def test_a_work_connection_that_cannot_be_opened_is_no_visit(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static_file, "open_work", lambda *_: None)
    home = home_of(world, tmp_path)
    home.running().start_work()
    world.settle()
    assert server_of(home).counters.connections_total == 0

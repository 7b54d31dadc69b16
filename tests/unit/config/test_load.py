from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frpd.config.load import Loaded
from frpd.config.load_client import load_client, load_client_common
from frpd.config.load_server import load_server
from frpd.config.problems import ConfigErrors
from frpd.config.server import ServerConfig
from frpd.errors import ConfigError
from tests.unit.config.golden import DATA, expected, plain
from tests.unit.config.test_ini import NASTY

if TYPE_CHECKING:
    from pathlib import Path

    from frpd.config.client import ClientSetup

TYPED = sorted((DATA / "typed").glob("*.ini"))


def write(folder: Path, text: str, name: str = "frp.ini") -> str:
    path = folder / name
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return str(path)


def check_texts(got: tuple[str, ...], wanted: list[str]) -> None:
    """Each wanted text stands in one message, and there is no further message."""
    left = list(got)
    for text in wanted:
        found = [message for message in left if text in message]
        assert found, (text, left)
        left.remove(found[0])
    assert left == []


def check_values(got: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert {key: got[key] for key in wanted} == wanted


def check_client(setup: ClientSetup, want: dict[str, Any]) -> None:
    check_values(plain(setup.common), want.get("common", {}))
    if "proxies" in want:
        assert sorted(proxy.name for proxy in setup.proxies) == sorted(want["proxies"])
    for proxy in setup.proxies:
        values = plain(proxy) | {"proxy_type": proxy.proxy_type}
        check_values(values, want["proxies"][proxy.name])
    if "visitors" in want:
        assert sorted(visitor.name for visitor in setup.visitors) == sorted(want["visitors"])
    for visitor in setup.visitors:
        values = plain(visitor) | {"visitor_type": visitor.visitor_type}
        check_values(values, want["visitors"][visitor.name])


@pytest.mark.parametrize("dialect", ["old", "new"])
@pytest.mark.parametrize("path", TYPED, ids=lambda path: path.stem)
def test_golden_file(path: Path, dialect: str) -> None:
    golden = expected(path)
    want = golden[dialect]
    load = load_server if golden["program"] == "frps" else load_client
    environ = golden.get("environ", {})
    if want["errors"]:
        with pytest.raises(ConfigError) as caught:
            load(str(path), dialect=dialect, environ=environ)
        check_texts(tuple(str(caught.value).split("\n")), want["errors"])
        return
    loaded: Loaded[Any] = load(str(path), dialect=dialect, environ=environ)
    check_texts(loaded.warnings, want["warnings"])
    check_texts(loaded.refusals, want.get("refusals", []))
    if isinstance(loaded.value, ServerConfig):
        check_values(plain(loaded.value), want.get("values", {}))
    else:
        check_client(loaded.value, want)


def test_error_names_file_line_section_key_value_and_what_is_accepted(tmp_path: Path) -> None:
    path = write(tmp_path, "[common]\n\nbind_port = 99999\n")
    with pytest.raises(ConfigError) as caught:
        load_server(path, environ={})
    error = caught.value
    assert (error.path, error.line, error.section, error.key) == (path, 3, "common", "bind_port")
    assert str(error) == (
        f"{path}:3 [common] bind_port: '99999' cannot be used;"
        " accepted: a whole number from 0 to 65535"
    )


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "[common]\n[a]\nlocal_port = x\n[b]\ntype = y\nlocal_port = 1\n")
    with pytest.raises(ConfigErrors) as caught:
        load_client(path, environ={})
    assert [error.key for error in caught.value.errors] == ["local_port", "local_port", "type"]


def test_common_alone_is_loaded_whatever_is_wrong_with_proxies(tmp_path: Path) -> None:
    path = write(tmp_path, "[common]\nadmin_port = 7400\n[broken]\ntype = nothing\n")
    assert load_client_common(path).admin_port == 7400
    with pytest.raises(ConfigError):
        load_client(path)
    with pytest.raises(ConfigError, match="admin_port"):
        load_client_common(write(tmp_path, "[common]\nadmin_port = many\n"))


def test_missing_file_has_gos_words() -> None:
    with pytest.raises(ConfigError) as caught:
        load_server("nope.ini", environ={})
    assert str(caught.value) == "open nope.ini: no such file or directory"
    assert caught.value.path == "nope.ini"


def test_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^read .*: is a directory$"):
        load_client(str(tmp_path), environ={})


def test_path_with_a_zero_byte_is_refused() -> None:
    with pytest.raises(ConfigError, match="invalid argument"):
        load_client("a\0b", environ={})


def test_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "frps.ini"
    path.write_bytes("[common]\n".encode("utf-16"))
    with pytest.raises(ConfigError, match="not a text file"):
        load_server(str(path), environ={})


def test_endless_file_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^/dev/zero: larger than \d+ bytes$"):
        load_server("/dev/zero", environ={})


def test_bytes_that_are_no_utf8_stay_in_a_secret(tmp_path: Path) -> None:
    path = write(tmp_path, "[common]\ntoken = caf\udce9\n")
    token = load_server(path, environ={}).value.token
    assert token.reveal().encode("utf-8", "surrogateescape") == b"caf\xe9"


def test_dialect_comes_from_the_argument_then_from_the_environment(tmp_path: Path) -> None:
    path = write(tmp_path, '[common]\ntoken = "t"\n')
    environ = {"FRP_INI_DIALECT": "old"}
    assert load_server(path, environ={}).value.token.reveal() == "t"
    assert load_server(path, environ=environ).value.token.reveal() == '"t"'
    assert load_server(path, dialect="new", environ=environ).value.token.reveal() == "t"
    with pytest.raises(ConfigError, match="'x' is no ini dialect"):
        load_server(path, environ={"FRP_INI_DIALECT": "x"})


def test_strict_turns_warnings_into_errors(tmp_path: Path) -> None:
    path = write(tmp_path, "[common]\nbind_prot = 1\ntokne = x\n")
    assert len(load_server(path, environ={}).warnings) == 2
    with pytest.raises(ConfigErrors) as caught:
        load_server(path, environ={}, strict=True)
    assert [str(error).split(": ")[0] for error in caught.value.errors] == [
        f"{path}:2 [common] bind_prot",
        f"{path}:3 [common] tokne",
    ]


def test_no_secret_is_shown_by_repr_or_by_a_message(tmp_path: Path) -> None:
    secrets = "hunter2"
    path = write(
        tmp_path,
        f'[common]\ntoken = "{secrets}"\nadmin_pwd = {secrets}\nhttp_proxy = http://u:{secrets}@h\n'
        f"[a]\nremote_port = 1\nplugin = socks5\nplugin_passwd = '{secrets}'\n"
        f"group_key = {secrets}\n",
    )
    loaded = load_client(path, environ={})
    assert loaded.warnings
    assert secrets not in repr(loaded)
    assert loaded.value.common.token.matches(secrets)


def test_loads_are_equal_exactly_when_no_setting_differs(tmp_path: Path) -> None:
    def proxy(text: str) -> object:
        path = write(tmp_path, f"[common]\n[a]\nlocal_port = 1\nremote_port = 2\n{text}\n")
        return load_client(path, environ={}).value.proxies[0]

    assert proxy("meta_a = 1") == proxy("; again\nmeta_a = 1")
    assert hash(proxy("meta_a = 1")) == hash(proxy("meta_a = 1"))
    assert proxy("meta_a = 1") != proxy("meta_a = 2")
    assert proxy("group_key = a") != proxy("group_key = b")


def test_included_files_are_glued_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    confd = tmp_path / "confd"
    (confd / "sub.ini").mkdir(parents=True)
    write(confd, "remote_port = 11\n[b]\nlocal_port = 2\nremote_port = {{ .Envs.P }}", "1.ini")
    write(confd, "[common]\nuser = ignored\n[a]\nlocal_port = 3\n", "2.ini")
    write(confd, "this is not read", "3.txt")
    main = write(
        tmp_path,
        "[common]\nuser = u\nincludes = ./confd/*.ini\n[a]\nlocal_port = 1\nremote_port = 1",
    )
    loaded = load_client(main, environ={"P": "12"})
    got = {p.name: (p.local_port, plain(p)["remote_port"]) for p in loaded.value.proxies}
    assert got == {"u.a": (3, 11), "u.b": (2, 12)}
    check_texts(loaded.warnings, ["2.ini:2 [common] user: [common] of an included file is ignored"])


def test_error_in_an_included_file_names_that_file(tmp_path: Path) -> None:
    include = write(tmp_path, "\n[b]\nlocal_port = x\n", "b.ini")
    main = write(tmp_path, f"[common]\nincludes = {include}\n")
    with pytest.raises(ConfigError, match=r"b\.ini:3 \[b\] local_port"):
        load_client(main, environ={})


def test_includes_folder_must_exist_but_need_not_match(tmp_path: Path) -> None:
    main = write(tmp_path, f"[common]\nincludes = {tmp_path}/x/*.ini\n")
    with pytest.raises(ConfigError, match=r"include: directory of .*/x/\*\.ini not exist"):
        load_client(main, environ={})
    main = write(tmp_path, f"[common]\nincludes = {tmp_path}/*.nothing\n")
    assert load_client(main, environ={}).value.proxies == ()


def test_enforced_heartbeats() -> None:
    assert ServerConfig().enforced_heartbeat_seconds is None
    assert ServerConfig(tcp_mux=False).enforced_heartbeat_seconds == 90
    assert ServerConfig(tcp_mux=False, heartbeat_timeout=-1).enforced_heartbeat_seconds is None
    explicit = ServerConfig(heartbeat_timeout=60, heartbeat_timeout_set=True)
    assert explicit.enforced_heartbeat_seconds == 60


KEYS = [row.name for row in fields(ServerConfig)] + ["local_port", "remote_port", "start", "type"]
NASTY_FILE = st.lists(
    st.one_of(
        NASTY.map(lambda text: text + "\n"),
        st.tuples(st.sampled_from(KEYS), NASTY).map(lambda pair: f"{pair[0]} = {pair[1]}\n"),
        st.sampled_from(["[common]\n", "[range:x]\n", "[plugin.p]\n", "[a.b]\n", "x = {{"]),
    ),
    max_size=8,
).map("".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NASTY_FILE, st.sampled_from(["old", "new"]))
def test_nasty_file_loads_or_is_refused(tmp_path: Path, text: str, dialect: str) -> None:
    path = write(tmp_path, text)
    for load in (load_server, load_client):
        try:
            said: object = load(path, dialect=dialect, environ={})
        except ConfigError as error:
            said = str(error)
        assert repr(said)

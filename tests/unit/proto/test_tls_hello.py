from __future__ import annotations

import ssl
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frpd.errors import RemoteProtocolError
from frpd.proto.tls_hello import (
    MAX_HELLO_BYTES,
    MAX_RECORDS,
    UNRECOGNIZED_NAME,
    HelloReader,
    alert,
)
from tests.unit.proto.hellos import (
    ECH,
    FOLDER,
    GREASE,
    GREASE_2,
    KEY_SHARE,
    NAMES,
    SERVER_NAME,
    hello,
    message_of,
    names,
    record,
    recorded,
    records,
    sni,
    vector,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

WELL_FORMED = {
    "no extensions at all": (hello(None), ""),
    "an empty list of extensions": (hello(), ""),
    "SSL 3.0": (hello(None, version=0x0300, ciphers=b"\x00\x0a"), ""),
    "a name": (hello([sni(b"a.example.test")]), "a.example.test"),
    "capitals and a dot": (hello([sni(b"A.eXample.TEST.")]), "a.example.test"),
    "an address": (hello([sni(b"192.0.2.7")]), "192.0.2.7"),
    "one label": (hello([sni(b"localhost")]), "localhost"),
    "the longest name": (hello([sni(b"a." * 126 + b"b")]), "a." * 126 + "b"),
    "grease": (
        hello([(GREASE, b""), (KEY_SHARE, b"x" * 1216), sni(b"g.test"), (GREASE_2, b"\x00")]),
        "g.test",
    ),
    "encrypted hello": (hello([(ECH, b"\x00" * 200), sni(b"outer.test")]), "outer.test"),
    "another kind of name first": (hello([names((7, b"\xff"), (0, b"h.test"))]), "h.test"),
    "only another kind of name": (hello([names((7, b"h.test"))]), ""),
    "a session id": (hello([sni(b"s.test")], session_id=b"i" * 32), "s.test"),
}

REFUSED = {
    "nothing in it": b"\x01\x00\x00\x00",
    "cut version": b"\x01" + vector(3, b"\x03"),
    "another major version": hello(version=0x0203),
    "long session id": hello(session_id=b"i" * 33),
    "no ciphers": hello(ciphers=b""),
    "odd ciphers": hello(ciphers=b"\x13\x01\x00"),
    "no compression": hello(compression=b""),
    "bytes behind the extensions": hello(behind=b"\x00"),
    "extension beyond the end": hello(None, behind=b"\x00\x05\x00\x0a\x00\x02x"),
    "extensions beyond the end": hello(None, behind=b"\x00\x05\x00\x0a\x00\x00"),
    "cut extension": hello(None, behind=b"\x00\x03\x00\x0a\x00"),
    "half a length": hello(None, behind=b"\x00"),
    "an extension twice": hello([(GREASE, b""), (GREASE, b"")]),
    "two server names": hello([sni(b"a.test"), sni(b"b.test")]),
    "two host names": hello([names((0, b"a.test"), (0, b"b.test"))]),
    "empty extension": hello([(SERVER_NAME, b"")]),
    "empty list": hello([names()]),
    "bytes behind the list": hello([(SERVER_NAME, names((0, b"a.test"))[1] + b"x")]),
    "name beyond the list": hello([(SERVER_NAME, vector(2, b"\x00\x00\x09a.test"))]),
}

NO_NAMES = [
    b"",
    b".",
    b"..",
    b"a..b",
    b".a",
    b"a..",
    b"a\x00.test",
    b"a.test\n",
    b"a b",
    b"*.test",
    b"[::1]",
    b"::1",
    b"a.test:443",
    b"a/b",
    b"b\xc3\xbccher.test",
    b"a" * 64,
    b"a." * 127 + b"b",
]


def read(raw: bytes, cuts: Iterable[int] = (), **bounds: int) -> HelloReader:
    """Feed ``raw``, cut at ``cuts``."""
    reader = HelloReader(**bounds)
    edges = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    for start, end in pairwise(edges):
        reader.feed(raw[start:end])
    return reader


def outcome(raw: bytes, cuts: Iterable[int] = ()) -> tuple[bool, str]:
    """Return what a reader made of ``raw``, or its complaint."""
    try:
        reader = read(raw, cuts)
    except RemoteProtocolError as error:
        return False, str(error)
    return reader.done, reader.server_name


def test_every_recorded_hello_has_its_name() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.hex")) == sorted(NAMES)
    for file, name in NAMES.items():
        reader = read(recorded(file))
        assert (file, reader.done, reader.server_name) == (file, True, name)


@pytest.mark.parametrize("file", NAMES)
def test_a_cut_hello_is_never_done(file: str) -> None:
    raw = recorded(file)
    reader = HelloReader()
    for byte in raw[:-1]:
        reader.feed(bytes((byte,)))
        assert not reader.done
        assert reader.server_name == ""
    reader.feed(raw[-1:])
    assert (reader.done, reader.server_name) == (True, NAMES[file])


@pytest.mark.parametrize("what", WELL_FORMED)
def test_well_formed(what: str) -> None:
    message, name = WELL_FORMED[what]
    assert outcome(records(message)) == (True, name)


@pytest.mark.parametrize("what", REFUSED)
def test_malformed(what: str) -> None:
    with pytest.raises(RemoteProtocolError, match=r"^tls: "):
        read(records(REFUSED[what]))


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_host_name_is_refused(name: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match=r"^tls: the server name is no host name$"):
        read(records(hello([sni(name)])))


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0302, 0x0303, 0x0304])
def test_versions_of_records_do_not_matter(version: int) -> None:
    assert outcome(records(hello([sni(b"v.test")]), version=version)) == (True, "v.test")


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"GET / HTTP/1.1\r\n", "not a handshake"),
        (record(b"\x01\x00", version=0x0305), "not a handshake"),
        (record(b"\x01\x00", version=0x0201), "not a handshake"),
        (record(b"x", kind=23), "not a handshake"),
        (b"\x80\x2e\x01\x00\x02\x00\x15", "not a handshake"),
        (alert(0), "an alert instead of a hello"),
        (records(hello()[:9]) + alert(0), "an alert instead of a hello"),
        (records(hello()[:9]) + record(b"x", kind=20), "not a handshake"),
        (record(b""), "record of 0 bytes"),
        (b"\x16\x03\x01\x40\x01", "record of 16385 bytes"),
        (record(b"\x02\x00\x00\x00"), "handshake message 2 instead of a hello"),
        (record(b"\x01\x01\x00\x00"), "hello of 65540 bytes"),
    ],
)
def test_what_is_no_hello_is_refused_as_soon_as_that_shows(raw: bytes, complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=f"^tls: {complaint}$"):
        read(raw)


def test_an_error_stays() -> None:
    reader = HelloReader()
    for data in (b"GET / HTTP/1.1", recorded("curl"), b""):
        with pytest.raises(RemoteProtocolError, match="not a handshake"):
            reader.feed(data)
    assert not reader.done


def test_what_follows_the_hello_is_not_looked_at() -> None:
    raw = recorded("openssl_tls13")
    reader = read(raw + b"GET / HTTP/1.1" + b"x" * MAX_HELLO_BYTES)
    assert (reader.done, reader.server_name) == (True, "thirteen.example.test")
    reader.feed(b"\xff" * MAX_HELLO_BYTES)
    assert reader.server_name == "thirteen.example.test"


def test_a_record_that_goes_on_behind_the_hello_is_the_service_s_affair() -> None:
    assert outcome(record(hello([sni(b"a.test")]) + b"\x01\x00")) == (True, "a.test")


def test_one_byte_in_a_record() -> None:
    message = message_of(recorded("go_post_quantum"))
    raw = records(message, [1] * len(message))
    assert outcome(raw) == (True, "go.example.test")


def test_a_hello_may_fill_the_bound_and_not_pass_it() -> None:
    raw = records(hello([(KEY_SHARE, b"k" * 20000), sni(b"large.test")]))
    assert read(raw, max_bytes=len(raw)).server_name == "large.test"
    for cuts in ((), range(0, len(raw), 1000)):
        with pytest.raises(RemoteProtocolError, match="no hello within"):
            read(raw, cuts, max_bytes=len(raw) - 1)


def test_the_records_of_a_hello_are_counted() -> None:
    message = hello([(KEY_SHARE, b"k" * MAX_RECORDS)])
    most = [1] * (MAX_RECORDS - 1)
    assert outcome(records(message, most))[0]
    with pytest.raises(RemoteProtocolError, match="in more than 4096 records"):
        read(records(message, [*most, 1]))


def test_a_hello_of_openssl_over_several_records() -> None:
    # The protocol names of ALPN are the one thing that Python can make long.
    context = ssl.create_default_context()
    context.set_alpn_protocols([f"{number:0>200}" for number in range(150)])
    sent = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="alpn.example.test")
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    raw = sent.read()
    assert int.from_bytes(raw[3:5]) == 16384
    assert len(raw) > 30000
    assert outcome(raw) == (True, "alpn.example.test")
    assert outcome(raw[:-1]) == (False, "")


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_understands_the_alert(newest: ssl.TLSVersion) -> None:
    context = ssl.create_default_context()
    context.maximum_version = newest
    received = ssl.MemoryBIO()
    connection = context.wrap_bio(received, ssl.MemoryBIO(), server_hostname="a.test")
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    received.write(alert(UNRECOGNIZED_NAME))
    with pytest.raises(ssl.SSLError) as caught:
        connection.do_handshake()
    assert caught.value.reason == "TLSV1_UNRECOGNIZED_NAME"


cuts = st.lists(st.integers(0, 3000), max_size=30)


@given(st.sampled_from(sorted(NAMES)), cuts, st.lists(st.integers(1, 400), max_size=60))
def test_neither_segments_nor_records_change_the_name(
    file: str, edges: list[int], sizes: list[int]
) -> None:
    raw = records(message_of(recorded(file)), sizes)
    assert outcome(raw, edges) == (True, NAMES[file])


@given(
    st.binary(max_size=300)
    | st.binary(max_size=300).map(record)
    | st.binary(max_size=200).map(lambda body: record(b"\x01" + vector(3, body)))
    | st.binary(max_size=80).map(lambda body: records(hello([(SERVER_NAME, body)]))),
    cuts,
)
@example(b"", [])
def test_arbitrary_bytes_give_one_outcome_however_they_are_cut(
    raw: bytes, edges: list[int]
) -> None:
    assert outcome(raw) == outcome(raw, edges) == outcome(raw, range(len(raw)))


@given(
    st.sampled_from(sorted(NAMES)),
    st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), min_size=1, max_size=4),
    cuts,
)
def test_damaged_hellos_give_one_outcome_however_they_are_cut(
    file: str, damage: list[tuple[int, int]], edges: list[int]
) -> None:
    raw = bytearray(recorded(file))
    for position, byte in damage:
        raw[position % len(raw)] = byte
    assert outcome(bytes(raw)) == outcome(bytes(raw), edges)

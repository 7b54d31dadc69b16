"""SSL contexts: from files that are checked and watched, or from a certificate of our own."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from frpd.clock import unix_now
from frpd.errors import ConfigError
from frpd.net.certificates import (
    CHECK_SECONDS,
    ReloadingContext,
    client_contexts,
    own_certificate,
    server_contexts,
)
from tests.helpers.authority import Authority, Pair
from tests.helpers.clock import MockClock
from tests.helpers.programs import need_tool


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def shown_by(contexts: ReloadingContext[ssl.SSLContext]) -> str:
    """Return the serial number of the certificate that a server shows."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(back, there),
        contexts.current().wrap_bio(there, back, server_side=True),
    )
    for end in ends * 2:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    der = ends[0].getpeercert(binary_form=True)
    assert der is not None
    return str(x509.load_der_x509_certificate(der).serial_number)


def serial(pair: Pair) -> str:
    return str(x509.load_pem_x509_certificate(Path(pair.cert).read_bytes()).serial_number)


def replace(old: Pair, new: Pair) -> None:
    """Do as certbot does: put other files in their place."""
    for source, target in zip(new, old, strict=True):
        shutil.copy(source, target + ".new")
        os.replace(target + ".new", target)


def overwrite(source: str, target: str | Path) -> None:
    """Change a file in place; its time tells, however coarse the kernel's clock is."""
    before = os.stat(target).st_mtime_ns
    shutil.copyfile(source, target)
    os.utime(target, ns=(before + 10**9, before + 10**9))


def openssl(*arguments: str, stdin: bytes) -> str:
    program = [need_tool("openssl"), *arguments]
    return subprocess.run(program, input=stdin, capture_output=True, check=True).stdout.decode()


# A certificate of our own.


def test_a_server_without_files_has_a_certificate_of_its_own() -> None:
    contexts = server_contexts("", "", "", now=MockClock().now)
    assert shown_by(contexts) == shown_by(contexts)
    assert contexts.current() is contexts.current()
    assert contexts.current().verify_mode == ssl.CERT_NONE
    assert shown_by(server_contexts("", "", "", now=MockClock().now)) != shown_by(contexts)


def test_it_is_valid_for_ten_years_from_an_hour_ago() -> None:
    now = unix_now()
    pem = own_certificate(now)
    certificate = x509.load_pem_x509_certificate(pem)
    assert certificate.issuer == certificate.subject
    begins, ends = (
        ssl.cert_time_to_seconds(line.partition("=")[2])
        for line in openssl("x509", "-noout", "-dates", stdin=pem).splitlines()
    )
    assert begins == now - 3600
    assert ends == begins + 10 * 365 * 86400


def test_its_key_never_lies_on_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    paths: list[str] = []
    load = ssl.SSLContext.load_cert_chain

    def note(self: ssl.SSLContext, certfile: str) -> None:
        paths.append(os.readlink(certfile))
        load(self, certfile)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", note)
    before = len(os.listdir("/proc/self/fd"))
    server_contexts("", "", "", now=MockClock().now).current()
    assert paths == ["/memfd:frpd-tls (deleted)"]
    assert len(os.listdir("/proc/self/fd")) == before


def test_it_is_made_on_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, flags: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", fail)
    contexts = server_contexts("", "", "", now=MockClock().now)
    with pytest.raises(ConfigError, match=r"certificate of our own: .*Too many open files"):
        contexts.current()
    monkeypatch.undo()
    assert contexts.current() is contexts.current()


def test_who_has_no_files_does_not_import_what_makes_certificates() -> None:
    program = (
        "import sys; from frpd.net import certificates as c\n"
        "c.server_contexts('', '', '', now=lambda: 0.0)\n"
        "c.client_contexts('', '', '', now=lambda: 0.0).current()\n"
        "print('cryptography.x509' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"False\n"


# What is demanded.


def test_without_a_ca_nobody_is_verified() -> None:
    context = client_contexts("", "", "", now=MockClock().now).current()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


def test_with_a_ca_both_sides_verify(authority: Authority) -> None:
    pair = authority.issue("frp.example")
    client = client_contexts("", "", authority.ca_file, now=MockClock().now).current()
    server = server_contexts(*pair, authority.ca_file, now=MockClock().now).current()
    assert (client.verify_mode, client.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert server.verify_mode == ssl.CERT_REQUIRED


def test_nothing_older_than_tls_1_2_is_spoken() -> None:
    for contexts in (server_contexts, client_contexts):
        context = contexts("", "", "", now=MockClock().now).current()
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.parametrize("contexts", [server_contexts, client_contexts])
def test_one_of_certificate_and_key_alone_is_ignored_with_a_word(
    authority: Authority,
    contexts: Callable[..., ReloadingContext[ssl.SSLContext]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    pair = authority.issue("frp.example")
    for paths, text in (
        ((pair.cert, ""), "tls_cert_file is ignored, since there is no tls_key_file"),
        (("", pair.key), "tls_key_file is ignored, since there is no tls_cert_file"),
    ):
        contexts(*paths, "", now=MockClock().now).current()
        assert text in caplog.text


# Files that cannot be used.


def refused(cert: str, key: str, ca: str = "") -> list[str]:
    """Return what both sides say about these files."""
    texts = []
    for contexts in (server_contexts, client_contexts):
        with pytest.raises(ConfigError) as caught:
            contexts(cert, key, ca, now=MockClock().now)
        texts.append(str(caught.value))
    return texts


def test_a_missing_file_is_named_with_its_key(authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.issue("frp.example")
    gone = str(tmp_path / "gone")
    why = f"cannot read {gone}: no such file or directory"
    assert refused(gone, key) == [f"tls_cert_file: {why}"] * 2
    assert refused(cert, gone) == [f"tls_key_file: {why}"] * 2
    assert refused(cert, key, gone) == [f"tls_trusted_ca_file: {why}"] * 2
    assert (
        refused(cert, str(tmp_path))
        == [f"tls_key_file: cannot read {tmp_path}: is a directory"] * 2
    )


def test_a_file_without_what_it_should_hold_is_named(authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.issue("frp.example")
    (tmp_path / "odd").write_bytes(b"\x30\x82\x01\x00 no PEM")
    odd = str(tmp_path / "odd")
    no_certificate = f"{odd} holds no certificate in PEM format"
    assert refused(odd, key) == [f"tls_cert_file: {no_certificate}"] * 2
    assert refused(cert, odd) == [f"tls_key_file: {odd} holds no private key in PEM format"] * 2
    assert refused(cert, key, odd) == [f"tls_trusted_ca_file: {no_certificate}"] * 2


def test_the_key_of_another_certificate_is_refused(authority: Authority) -> None:
    one, other = authority.issue("one.example"), authority.issue("other.example")
    text = f"tls_key_file: {other.key} is not the key of {one.cert}"
    assert refused(one.cert, other.key) == [text] * 2


def test_damaged_pem_is_refused(authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.issue("frp.example")
    damaged = tmp_path / "damaged"
    damaged.write_text(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", encoding="ascii"
    )
    for text in refused(str(damaged), key):
        assert text.startswith(f"tls_key_file: {damaged} and {key} cannot be used: ")
    for text in refused(cert, key, str(damaged)):
        assert text.startswith(f"tls_trusted_ca_file: {damaged} is damaged: ")


def test_a_key_with_a_password_is_refused_and_nobody_is_asked(
    authority: Authority, tmp_path: Path
) -> None:
    cert, key = authority.issue("frp.example")
    private = load_pem_private_key(Path(key).read_bytes(), None)
    locked = tmp_path / "locked.key"
    for style in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        locked.write_bytes(
            private.private_bytes(Encoding.PEM, style, BestAvailableEncryption(b"secret"))
        )
        text = f"tls_key_file: {locked} is protected by a password; frp has none"
        assert refused(cert, str(locked)) == [text] * 2


def test_an_expired_certificate_is_used_with_a_word(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    fresh, expired = authority.issue("frp.example"), authority.issue("frp.example", days=-2)
    server_contexts(*fresh, "", now=MockClock().now)
    assert "expired" not in caplog.text
    contexts = server_contexts(*expired, "", now=MockClock().now)
    assert f"tls_cert_file: {expired.cert} has expired on " in caplog.text
    assert shown_by(contexts) == serial(expired)


# Files that change.


def test_files_that_have_changed_are_read_again(authority: Authority) -> None:
    clock = MockClock()
    pair, renewed = authority.issue("frp.example"), authority.issue("frp.example")
    old, new = serial(pair), serial(renewed)
    contexts = server_contexts(*pair, "", now=clock.now)
    assert shown_by(contexts) == old
    replace(pair, renewed)
    clock.advance(CHECK_SECONDS - 0.1)
    assert shown_by(contexts) == old
    clock.advance(0.1)
    assert shown_by(contexts) == new
    context = contexts.current()
    clock.advance(CHECK_SECONDS)
    assert contexts.current() is context


def test_new_files_that_cannot_be_used_leave_the_old_and_are_told_once(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    clock = MockClock()
    pair, renewed = authority.issue("frp.example"), authority.issue("frp.example")
    contexts = server_contexts(*pair, "", now=clock.now)
    context = contexts.current()
    overwrite(renewed.cert, pair.cert)  # the key is to follow
    for _ in range(3):
        clock.advance(CHECK_SECONDS)
        assert contexts.current() is context
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert f"the old ones stay: tls_key_file: {pair.key} is not the key of {pair.cert}" in told[0]
    overwrite(renewed.key, pair.key)
    clock.advance(CHECK_SECONDS)
    assert shown_by(contexts) == serial(renewed)


def test_a_file_that_is_gone_for_a_while_does_no_harm(authority: Authority) -> None:
    clock = MockClock()
    pair, renewed = authority.issue("frp.example"), authority.issue("frp.example")
    contexts = server_contexts(*pair, "", now=clock.now)
    context = contexts.current()
    os.unlink(pair.cert)
    clock.advance(CHECK_SECONDS)
    assert contexts.current() is context
    replace(pair, renewed)
    clock.advance(CHECK_SECONDS)
    assert shown_by(contexts) == serial(renewed)


def test_a_changed_ca_is_read_again(authority: Authority, tmp_path: Path) -> None:
    clock = MockClock()
    ca = tmp_path / "trusted.pem"
    shutil.copy(authority.ca_file, ca)
    contexts = client_contexts("", "", str(ca), now=clock.now)
    [before] = contexts.current().get_ca_certs()
    (tmp_path / "other").mkdir()
    overwrite(Authority(tmp_path / "other", "other").ca_file, ca)
    clock.advance(CHECK_SECONDS)
    [after] = contexts.current().get_ca_certs()
    assert before["serialNumber"] != after["serialNumber"]

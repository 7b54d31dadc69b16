"""Certificates for QUIC, of the same keys and by the same rules as for TLS over TCP."""

from __future__ import annotations

from typing import Final

from aioquic.tls import load_pem_private_key, load_pem_x509_certificates

from frpd.clock import unix_now
from frpd.net.certificates import client_context, own_certificate, server_context
from frpd.transports.quic_connection import TlsMaterial

_PEM_KEY_END: Final = b"-----END CERTIFICATE-----"


def server_material(cert_file: str, key_file: str, trusted_ca_file: str) -> TlsMaterial:
    """Return what a server shows, a certificate of its own if there are no files.

    With a CA every client must show a certificate of it.

    Raises:
        ConfigError: names key and file.
    """
    server_context(cert_file, key_file, trusted_ca_file)  # knows all that may be wrong
    if not (cert_file and key_file):
        return own_material(trusted_ca_file)
    return _from_files(cert_file, key_file, trusted_ca_file)


def client_material(cert_file: str, key_file: str, trusted_ca_file: str) -> TlsMaterial:
    """Return what a client shows, if anything, and whom it believes: with a CA only its own.

    Raises:
        ConfigError: names key and file.
    """
    client_context(cert_file, key_file, trusted_ca_file)  # knows all that may be wrong
    if not (cert_file and key_file):
        return TlsMaterial(trusted_ca=_read(trusted_ca_file))
    return _from_files(cert_file, key_file, trusted_ca_file)


def own_material(trusted_ca_file: str = "") -> TlsMaterial:
    """Return a certificate that was made just now; nobody can verify it."""
    pem = own_certificate(unix_now())
    certificate, end, key = pem.partition(_PEM_KEY_END)
    return TlsMaterial(
        certificates=tuple(load_pem_x509_certificates(certificate + end)),
        private_key=load_pem_private_key(key.lstrip()),
        trusted_ca=_read(trusted_ca_file),
    )


def _from_files(cert_file: str, key_file: str, trusted_ca_file: str) -> TlsMaterial:
    return TlsMaterial(
        certificates=tuple(load_pem_x509_certificates(_read(cert_file))),
        private_key=load_pem_private_key(_read(key_file)),
        trusted_ca=_read(trusted_ca_file),
    )


def _read(path: str) -> bytes:
    """Return the file, which was read by others just before; nothing for no file."""
    if not path:
        return b""
    with open(path, "rb") as file:
        return file.read()

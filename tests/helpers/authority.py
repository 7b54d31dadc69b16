"""A certificate authority for tests: what it issues lies in files."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


class Pair(NamedTuple):
    """Paths of a certificate and its key."""

    cert: str
    key: str


class Authority:
    """Signs certificates of any shape.

    Attributes:
        ca_file: its own certificate.
    """

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        self._folder = folder
        self._issued = 0
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        builder = self._builder(self._name, self._key.public_key(), days=1)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        certificate = builder.sign(self._key, hashes.SHA256())
        self.ca_file = self._write(f"{name}.ca.pem", _pem(certificate))

    def issue(self, *names: str, days: int = 1) -> Pair:
        """Return a certificate for these names or addresses; ``days`` < 0 means expired so long."""
        self._issued += 1
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name(names[0] if names else "nobody"), key.public_key(), days)
        if names:
            entries = x509.SubjectAlternativeName([_general(name) for name in names])
            builder = builder.add_extension(entries, False)
        certificate = builder.sign(self._key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        stem = f"{self._name.rfc4514_string()[3:]} {self._issued}"
        return Pair(
            self._write(f"{stem}.pem", _pem(certificate)), self._write(f"{stem}.key", private)
        )

    def _builder(
        self, subject: x509.Name, public: ec.EllipticCurvePublicKey, days: int
    ) -> x509.CertificateBuilder:
        end = datetime.datetime.now(datetime.UTC) + days * DAY
        return (
            x509.CertificateBuilder(self._name, subject, public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - 30 * DAY)
            .not_valid_after(end)
        )

    def _write(self, name: str, data: bytes) -> str:
        path = self._folder / name
        path.write_bytes(data)
        return str(path)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)

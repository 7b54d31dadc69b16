"""A web site by nginx: large files, a page with many assets, and the same by HTTPS."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.helpers.loads import checksum
from tests.helpers.ports import free_port
from tests.helpers.programs import need_tool
from tests.helpers.services import wait_for_port

if TYPE_CHECKING:
    from tests.helpers.stage import Stage

MEBIBYTE = 1 << 20
SECURE_DOMAINS = ("secure.example.test", "secure.frps.test", "*.secure.test")
ASSETS_OF_A_KIND = 20
HELLO = b"hello from nginx\n"
_TAGS = {
    "css": '<link rel="stylesheet" href="/assets/{}.css">',
    "js": '<script src="/assets/{}.js"></script>',
    "svg": '<img src="/assets/{}.svg" alt="">',
}
_ASSETS = {
    "css": ":root {{ --rule-{}: 1 }}\n",
    "js": "window.ran = (window.ran || 0) + 1 // {}\n",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><!-- {} --></svg>\n',
}


@dataclass(frozen=True, slots=True)
class Site:
    """What nginx serves, and where."""

    folder: Path
    port: int
    secure_port: int
    authority: Authority

    def add(self, name: str, mebibytes: int) -> str:
        """Add a file of noise; return its checksum."""
        path = self.folder / "www" / name
        with path.open("wb") as file:
            for _ in range(mebibytes):
                file.write(os.urandom(MEBIBYTE))
        return checksum(path)


@dataclass(frozen=True, slots=True)
class Authority:
    """A private CA with one certificate for SECURE_DOMAINS, as PEM files."""

    ca: Path
    certificate: Path
    key: Path
    key_pin: str  # of its public key, as browsers want it


def make_authority(folder: Path) -> Authority:
    """Make a CA and a certificate that it signed."""
    folder.mkdir()
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
    root = (
        _certificate(root_name, root_name, root_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SECURE_DOMAINS[0])])
    names = [
        *(x509.DNSName(domain) for domain in SECURE_DOMAINS),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    leaf = (
        _certificate(name, root_name, key)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    made = Authority(
        folder / "ca.pem",
        folder / "site.pem",
        folder / "site.key",
        _pin(key.public_key()),
    )
    made.ca.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    made.certificate.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


def _pin(key: ec.EllipticCurvePublicKey) -> str:
    info = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(hashlib.sha256(info).digest()).decode()


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + 90 * day)
    )


def start_site(stage: Stage, reports_to: int) -> Site:
    """Start nginx on loopback, once plain and once with TLS.

    Args:
        stage: kills it at its end.
        reports_to: the port of the service that gets what is asked for below /report/.
    """
    program = need_tool("nginx")
    folder = stage.folder / "site"
    assets = folder / "www" / "assets"
    assets.mkdir(parents=True)
    (folder / "www" / "files").mkdir()
    for place in ("hello.txt", "files/hello.txt"):
        (folder / "www" / place).write_bytes(HELLO)
    (folder / "www" / "page.html").write_text(_page_of_assets())
    for kind, text in _ASSETS.items():
        for number in range(ASSETS_OF_A_KIND):
            (assets / f"{number}.{kind}").write_text(text.format(number))
    authority = make_authority(folder / "authority")
    site = Site(folder, free_port(), free_port(), authority)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "conf").write_text(
        ("user root;\n" if os.geteuid() == 0 else "")
        + f"daemon off;\npid {folder}/pid;\nerror_log stderr;\nworker_processes 1;\n"
        "events { worker_connections 2048; }\n"
        "http { access_log off; gzip off; keepalive_requests 1000000; sendfile on;\n"
        "types { text/html html; text/css css; text/javascript js; image/svg+xml svg; }\n"
        f"{temporary} client_body_temp_path {folder}/body;\n"
        f"ssl_certificate {authority.certificate}; ssl_certificate_key {authority.key};\n"
        f"server {{ listen 127.0.0.1:{site.port} backlog=1024;"
        f" listen 127.0.0.1:{site.secure_port} ssl; root {folder}/www;\n"
        f"location /report/ {{ proxy_pass http://127.0.0.1:{reports_to}; }} }} }}\n"
    )
    command = (program, "-p", str(folder), "-e", "stderr", "-c", str(folder / "conf"))
    nginx = stage.start("nginx", *command)
    wait_for_port(nginx, site.port)
    wait_for_port(nginx, site.secure_port)
    return site


def _page_of_assets() -> str:
    """Return a page that loads all assets, and reports what it has got when it is complete."""
    tags = "\n".join(
        tag.format(number) for tag in _TAGS.values() for number in range(ASSETS_OF_A_KIND)
    )
    return f"""<!doctype html><html><head><title>assets</title></head><body>
{tags}
<script>
window.onload = async () => {{
  const styles = getComputedStyle(document.documentElement)
  const rules = [...Array({ASSETS_OF_A_KIND}).keys()].filter(
    number => styles.getPropertyValue("--rule-" + number).trim() === "1").length
  const images = [...document.images].filter(image => image.naturalWidth === 9).length
  const large = await (await fetch("/large")).arrayBuffer()
  fetch("/report/" + [window.ran, rules, images, large.byteLength].join("-"))
}}
</script></body></html>
"""

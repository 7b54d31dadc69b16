"""What the SSH gateway needs before anyone comes: the library, its host key, who may enter."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from frpd.config.server import ServerConfig
from frpd.errors import ConfigError
from frpd.log import get_logger

NO_SSH: Final = (
    "the SSH gateway needs the library asyncssh, which is not installed: apt install"
    " python3-asyncssh, or pip install 'frpd[ssh]'"
)
KEY_NAME: Final = ".autogen_ssh_key"
"""As frp calls it; in the folder of the state that systemd gives, else where frps was started."""
KEY_KIND: Final = "ssh-ed25519"
MAX_FILE_BYTES: Final = 1024 * 1024

# Of each client; here, because what looks them up may do so without the library.
COMMAND_SECONDS: Final = 3.0
"""For -R and the command, once it is known who it is; as in frp."""
MAX_STRANGER_BYTES: Final = 256 * 1024
"""What a client may send until it is let in; ssh with a dozen keys sends 20 KiB."""
WINDOW_BYTES: Final = 1024 * 1024
"""What a client may send ahead for each visitor."""

_log = get_logger("frpd.server.ssh_gateway")


@dataclass(frozen=True, slots=True)
class SshSettings:
    """Of one configuration.

    Attributes:
        host_key: what clients know us by, in the text that files have.
        authorized_keys_file: whose keys are let in; "" if keys are not asked for.
    """

    host_key: bytes
    authorized_keys_file: str


def require_ssh() -> None:
    """Make sure that SSH can be had.

    Raises:
        ConfigError: it cannot.
    """
    if importlib.util.find_spec("asyncssh") is None:
        raise ConfigError(NO_SSH, key="ssh_gateway_bind_port")


def load_settings(
    config: ServerConfig, environ: Mapping[str, str], *, may_make: bool = True
) -> SshSettings | None:
    """Read the files, which blocks; None where there is no gateway.

    Args:
        config: checked.
        environ: of the process.
        may_make: make a host key where there is none.

    Raises:
        ConfigError: a file cannot be used, or the library is not there.
    """
    if not config.ssh_gateway_bind_port:
        return None
    require_ssh()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old ciphers, which cryptography is about to drop
        # Only who has a gateway pays for its import.
        import asyncssh  # noqa: F401, PLC0415
    if config.ssh_gateway_authorized_keys_file:
        _read("ssh_gateway_authorized_keys_file", config.ssh_gateway_authorized_keys_file)
    if config.ssh_gateway_private_key_file:
        key, path = "ssh_gateway_private_key_file", config.ssh_gateway_private_key_file
        data = _read(key, path)
    else:
        key, path = "ssh_gateway_auto_gen_private_key_path", made_key_path(config, environ)
        data = _read(key, path) if os.path.exists(path) else b""
        if not data and may_make:
            data = _make(key, path)
    if data:
        _check(key, path, data)
    return SshSettings(data, config.ssh_gateway_authorized_keys_file)


def made_key_path(config: ServerConfig, environ: Mapping[str, str]) -> str:
    """Return where a key of our own making is kept."""
    folder = environ.get("STATE_DIRECTORY", "").partition(":")[0] or "."
    return config.ssh_gateway_auto_gen_private_key_path or os.path.join(folder, KEY_NAME)


def _read(key: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {path}: {_reason(error)}", key=key) from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is longer than {MAX_FILE_BYTES} bytes", key=key)
    return data


def _make(key: str, path: str) -> bytes:
    import asyncssh  # noqa: PLC0415 - see load_settings

    made = asyncssh.generate_private_key(KEY_KIND)
    data: bytes = made.export_private_key()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(handle, "wb") as file:
            os.fchmod(handle, 0o600)
            file.write(data)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot write {path}: {_reason(error)}", key=key) from error
    _log.info("ssh gateway: made the host key %s, %s", path, made.get_fingerprint())
    return data


def _check(key: str, path: str, data: bytes) -> None:
    import asyncssh  # noqa: PLC0415 - see load_settings

    try:
        asyncssh.import_private_key(data)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        what = str(error).lower()
        raise ConfigError(
            f"{path} is no private key without a passphrase: {what}", key=key
        ) from error


def _reason(error: OSError | ValueError) -> str:
    return str(getattr(error, "strerror", None) or error).lower()

"""The key an embedded Restate signs its calls with, so that only it can call the endpoint."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from hermes.embedded.errors import InitialiseFailed
from hermes.embedded.private_file import write_private

if TYPE_CHECKING:
    from pathlib import Path

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def ensure_identity(path: Path) -> str:
    """Return the public key of the PEM file, as Restate writes it (`publickeyv1_...`).

    The file (0600, ed25519) is made at the first call. Raises InitialiseFailed if it is no such.
    """
    with suppress(FileNotFoundError):
        return _public_key(path)
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    write_private(path, pem.decode("ascii"))
    return _public_key(path)


def _public_key(path: Path) -> str:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise InitialiseFailed("Restate", f"{path} holds no private key: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InitialiseFailed("Restate", f"{path} holds a key that is not ed25519")
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return "publickeyv1_" + base58(raw)


def base58(raw: bytes) -> str:
    """Encode bytes in base 58 (Bitcoin's alphabet); each leading zero byte becomes a `1`."""
    number, digits = int.from_bytes(raw), ""
    while number:
        number, rest = divmod(number, 58)
        digits = _BASE58[rest] + digits
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + digits

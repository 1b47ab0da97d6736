"""The TLS of the SMPP port: a certificate, and whose clients may come."""

from __future__ import annotations

import ssl
from pathlib import Path

from hermes.simulator.profile import Profile
from hermes.simulator.refusal import Refusal


def server_context(profile: Profile) -> ssl.SSLContext | None:
    """The context of the port; None without a certificate. Raises Refusal for a useless file."""
    if not profile.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    key = profile.tls_key or profile.tls_cert
    _check_readable("tls_cert", profile.tls_cert)
    _check_readable("tls_key", key)
    try:
        # a key with a password would ask for it on the terminal
        context.load_cert_chain(profile.tls_cert, key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise Refusal("tls_cert", f"{profile.tls_cert} and {key} are no pair: {error}") from error
    if profile.tls_client_ca:
        _check_readable("tls_client_ca", profile.tls_client_ca)
        try:
            context.load_verify_locations(profile.tls_client_ca)
        except ssl.SSLError as error:
            rule = f"{profile.tls_client_ca} holds no certificate: {error}"
            raise Refusal("tls_client_ca", rule) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _check_readable(field: str, path: str) -> None:
    try:
        with Path(path).open("rb"):
            return
    except OSError as error:
        raise Refusal(field, f"{path} cannot be read: {error.strerror}") from error

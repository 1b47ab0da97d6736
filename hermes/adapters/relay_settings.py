"""What a relay's connections need to know of an account, from its profile and the settings."""

from __future__ import annotations

from hermes.core.carrier import RelayAccount
from hermes.mail.hello import Account
from hermes.ports.link import TlsSettings
from hermes.ports.relay import RelaySettings
from hermes.settings.tree import Smpp


def relay_settings_of(relay: RelayAccount, name: str, smpp: Smpp) -> RelaySettings:
    """Give the settings of a relay we greet as `name`; certificates are always verified.

    Credentials go in the clear only where the profile says `plain`, which it must say by itself.
    """
    is_plain = relay.security == "plain"
    tls = relay.tls
    return RelaySettings(
        host=relay.host,
        port=relay.port,
        account=Account(
            name=name,
            security="implicit" if relay.security == "tls" else relay.security,
            username=relay.user or None,
            password=relay.password,
            clear_credentials=is_plain,
        ),
        connections=relay.connections,
        max_messages=relay.max_messages,
        connect_timeout=smpp.bind_timeout,
        tls=TlsSettings(tls.ca_file, tls.cert_file, tls.key_file, tls.server_name),
    )

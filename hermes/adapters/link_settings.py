"""What a link needs to know of a bind, from its profile and the timers of the settings."""

from __future__ import annotations

from hermes.core.carrier import Bind
from hermes.ports.link import LinkSettings, TlsSettings
from hermes.settings.tree import Smpp


def settings_of(bind: Bind, smpp: Smpp) -> LinkSettings:
    """Give the settings of a link; TLS unless the profile says `insecure`."""
    tls = bind.tls
    return LinkSettings(
        host=bind.host,
        port=bind.port,
        system_id=bind.system_id,
        password=bind.password,
        mode=bind.mode,
        system_type=bind.system_type,
        window=bind.window,
        response_timeout=smpp.response_timeout,
        enquire_interval=smpp.enquire_every,
        enquire_timeout=smpp.enquire_timeout,
        bind_timeout=smpp.bind_timeout,
        tls=None
        if tls.insecure
        else TlsSettings(tls.ca_file, tls.cert_file, tls.key_file, tls.server_name),
    )

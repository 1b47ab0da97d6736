"""The carrier profile: one account at one SMSC and its binds, complete from the start."""

from __future__ import annotations

from typing import Literal

import msgspec

NationalLanguage = Literal[
    "tr", "es", "pt", "bn", "gu", "hi", "kn", "ml", "or", "pa", "ta", "te", "ur"
]
"""ISO 639-1 codes of the languages with tables of their own (3GPP TS 23.038, annex A)."""


class DataCodings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data_coding this carrier wants for each alphabet (SMPP 3.4, 5.2.19)."""

    gsm7: int = 0
    latin1: int = 3
    ucs2: int = 8
    flash: int = 16


class TonNpi(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Type of number and numbering plan indicator of one address kind."""

    ton: int
    npi: int


class Senders(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """TON and NPI by kind of sender; None refuses that kind."""

    alnum: TonNpi | None = TonNpi(5, 0)
    short: TonNpi | None = TonNpi(3, 0)
    e164: TonNpi | None = TonNpi(1, 1)


class SenderRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Replace or refuse senders that match a pattern; `default` stands in where none is given."""

    match: str = ".*"
    use: str | None = None
    refuse: bool = False


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Price of one segment to numbers that begin with `prefix` (digits, longest wins)."""

    prefix: str
    amount: str
    currency: str


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """TLS to the carrier: verified by default; `insecure = true` sends in the clear."""

    insecure: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None


class Bind(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One authenticated session to hold; `hosts` pins it to machines, empty means every one."""

    id: str
    host: str
    port: int
    system_id: str
    password: str = ""
    system_type: str = ""
    hosts: tuple[str, ...] = ()
    mode: Literal["trx", "tx", "rx"] = "trx"
    window: int = 10
    tls: Tls = Tls()
    engine: Literal["aiosmpplib", "native"] = "aiosmpplib"


class RelayAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One account at one SMTP relay; `hosts` pins it to machines, empty means every one.

    `security` is the way in: `starttls` and `tls` (from the first octet) insist on it, `plain`
    goes without. `max_messages` go through one of `connections`, 0 for any number.
    """

    host: str
    port: int = 587
    security: Literal["starttls", "tls", "plain"] = "starttls"
    user: str = ""
    password: str = ""
    connections: int = 4
    max_messages: int = 100
    hosts: tuple[str, ...] = ()
    tls: Tls = Tls()


class Carrier(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One account; a provider plugin account or an SMTP relay is a carrier of another kind.

    `max_rate` is a ceiling in segments/s (None: learned), `max_queue` the hard bound per subject,
    `validity_s` the validity_period to ask for in seconds, `national_languages` whose national
    tables a text may use where that saves segments, `channels` what a provider's account serves.
    """

    id: str
    kind: Literal["smpp", "provider", "smtp"] = "smpp"
    simulator: bool = False
    receipts: Literal["all", "last", "first", "none"] = "all"
    tz: str = "UTC"
    default_alphabet: Literal["gsm7", "latin1", "ascii"] = "gsm7"
    dcs: DataCodings = DataCodings()
    national_languages: tuple[NationalLanguage, ...] = ()
    segmentation: Literal["udh8", "udh16", "sar", "payload"] = "udh8"
    number_format: Literal["e164", "plus", "national", "00"] = "e164"
    country: str | None = None
    sender: Senders = Senders()
    sender_rules: tuple[SenderRule, ...] = ()
    default_sender: str | None = None
    tlv: dict[str, str] = {}
    validity_s: int | None = None
    user_message_reference: bool = False
    id_form: Literal["learn", "same", "strip-zeros", "hex-dec", "dec-hex"] = "learn"
    receipt_in_text: bool = False
    max_rate: float | None = None
    max_queue: int = 5000
    status_map: dict[str, Literal["throttle", "retry", "permanent", "config"]] = {}
    price: tuple[Price, ...] = ()
    bind: tuple[Bind, ...] = ()
    relay: RelayAccount | None = None
    prefixes: tuple[str, ...] = ("",)
    channels: tuple[str, ...] = ()

    def binds_on(self, host: str) -> tuple[Bind, ...]:
        """Give the binds this host holds."""
        return tuple(b for b in self.bind if not b.hosts or host in b.hosts)

    def relay_on(self, host: str) -> RelayAccount | None:
        """Give the relay account, None where this host does not use it."""
        relay = self.relay
        return relay if relay and (not relay.hosts or host in relay.hosts) else None

    @property
    def window(self) -> int:
        """The sum of the windows of all binds, or the connections of a relay."""
        if self.relay is not None:
            return self.relay.connections
        return sum(b.window for b in self.bind)

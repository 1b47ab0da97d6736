"""The channels: what each can report, how its recipients look, which carriers serve it."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from hermes.core.units import Channel, Success

AddressKind = Literal["e164", "email", "token"]
CarrierKind = Literal["smpp", "smtp", "provider"]


class ChannelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A declared channel: the cascade knows nothing of it but this.

    `reports` are the rungs of success it can tell, the lowest first, `success` the one a step
    counts as success if it names none, `served_by` the kinds of carrier that may take its jobs.
    """

    id: Channel
    address: AddressKind
    reports: tuple[Success, ...]
    success: Success = "delivered"
    served_by: tuple[CarrierKind, ...] = ("provider",)


CHANNELS: Final[dict[Channel, ChannelSpec]] = {
    spec.id: spec
    for spec in (
        ChannelSpec(
            id="sms",
            address="e164",
            reports=("accepted", "sent", "delivered"),
            served_by=("smpp", "provider"),
        ),
        ChannelSpec(
            id="email",
            address="email",
            reports=("accepted", "sent", "delivered"),
            served_by=("smtp", "provider"),
        ),
        ChannelSpec(id="push", address="token", reports=("accepted", "sent", "delivered", "read")),
    )
}

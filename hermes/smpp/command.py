"""SMPP command ids and their names (SMPP 3.4, 5.1.2.1; SMPP 5.0, 4.7.5)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

RESPONSE_BIT: Final = 0x8000_0000
MAX_SEQUENCE: Final = 0x7FFF_FFFF


class CommandId(IntEnum):
    """All commands of SMPP 3.4 and the broadcast ones of 5.0; a wire value may be none of them."""

    generic_nack = 0x8000_0000
    bind_receiver = 0x0000_0001
    bind_receiver_resp = 0x8000_0001
    bind_transmitter = 0x0000_0002
    bind_transmitter_resp = 0x8000_0002
    query_sm = 0x0000_0003
    query_sm_resp = 0x8000_0003
    submit_sm = 0x0000_0004
    submit_sm_resp = 0x8000_0004
    deliver_sm = 0x0000_0005
    deliver_sm_resp = 0x8000_0005
    unbind = 0x0000_0006
    unbind_resp = 0x8000_0006
    replace_sm = 0x0000_0007
    replace_sm_resp = 0x8000_0007
    cancel_sm = 0x0000_0008
    cancel_sm_resp = 0x8000_0008
    bind_transceiver = 0x0000_0009
    bind_transceiver_resp = 0x8000_0009
    outbind = 0x0000_000B
    enquire_link = 0x0000_0015
    enquire_link_resp = 0x8000_0015
    submit_multi = 0x0000_0021
    submit_multi_resp = 0x8000_0021
    alert_notification = 0x0000_0102
    data_sm = 0x0000_0103
    data_sm_resp = 0x8000_0103
    broadcast_sm = 0x0000_0111
    broadcast_sm_resp = 0x8000_0111
    query_broadcast_sm = 0x0000_0112
    query_broadcast_sm_resp = 0x8000_0112
    cancel_broadcast_sm = 0x0000_0113
    cancel_broadcast_sm_resp = 0x8000_0113


COMMAND_NAMES: Final[dict[int, str]] = {int(command): command.name for command in CommandId}
COMMAND_IDS: Final[dict[str, int]] = {name: value for value, name in COMMAND_NAMES.items()}


def command_name(command_id: int) -> str:
    """The name in the specification, or the value in hexadecimal for an unknown command."""
    return COMMAND_NAMES.get(command_id) or f"0x{command_id:08x}"


def is_response(command_id: int) -> bool:
    """Whether the response bit (31) is set; generic_nack is a response."""
    return command_id & RESPONSE_BIT != 0


def response_to(command_id: int) -> int:
    """The command id that answers a request (request id with the response bit set)."""
    return command_id | RESPONSE_BIT

"""The mandatory parameters of every command, in wire order (SMPP 3.4 and 5.0, chapter 4)."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, NamedTuple

from hermes.smpp.command import CommandId as C


class Kind(Enum):
    """How a parameter looks on the wire."""

    text = auto()  # C-octet string
    octet = auto()  # unsigned integer of one octet
    message = auto()  # sm_length and that many octets
    dests = auto()  # number_of_dests and dest_address of submit_multi
    unsuccess = auto()  # no_unsuccess and unsuccess_sme of submit_multi_resp


class Parameter(NamedTuple):
    """One mandatory parameter."""

    name: str
    kind: Kind


def _parameters(row: str) -> tuple[Parameter, ...]:
    """Read a row of names; a suffix tells the kind: nothing is text, `#` is an octet."""
    special = {
        "short_message": Kind.message,
        "dests": Kind.dests,
        "unsuccess": Kind.unsuccess,
    }
    return tuple(
        Parameter(
            word.rstrip("#"), Kind.octet if word.endswith("#") else special.get(word, Kind.text)
        )
        for word in row.split()
    )


_SOURCE: Final = "source_addr_ton# source_addr_npi# source_addr "
_DEST: Final = "dest_addr_ton# dest_addr_npi# destination_addr "
_SENDING: Final = (
    "esm_class# protocol_id# priority_flag# schedule_delivery_time validity_period"
    " registered_delivery# replace_if_present_flag# data_coding# sm_default_msg_id# short_message"
)
_BIND: Final = _parameters(
    "system_id password system_type interface_version# addr_ton# addr_npi# address_range"
)
_BIND_RESP: Final = _parameters("system_id")
_MESSAGE: Final = _parameters("service_type " + _SOURCE + _DEST + _SENDING)
_MESSAGE_ID: Final = _parameters("message_id")

LAYOUTS: Final[dict[int, tuple[Parameter, ...]]] = {
    C.generic_nack: (),
    C.bind_receiver: _BIND,
    C.bind_receiver_resp: _BIND_RESP,
    C.bind_transmitter: _BIND,
    C.bind_transmitter_resp: _BIND_RESP,
    C.bind_transceiver: _BIND,
    C.bind_transceiver_resp: _BIND_RESP,
    C.outbind: _parameters("system_id password"),
    C.unbind: (),
    C.unbind_resp: (),
    C.enquire_link: (),
    C.enquire_link_resp: (),
    C.submit_sm: _MESSAGE,
    C.submit_sm_resp: _MESSAGE_ID,
    C.deliver_sm: _MESSAGE,
    C.deliver_sm_resp: _MESSAGE_ID,
    C.data_sm: _parameters(
        "service_type " + _SOURCE + _DEST + "esm_class# registered_delivery# data_coding#"
    ),
    C.data_sm_resp: _MESSAGE_ID,
    C.submit_multi: _parameters("service_type " + _SOURCE + "dests " + _SENDING),
    C.submit_multi_resp: _parameters("message_id unsuccess"),
    C.query_sm: _parameters("message_id " + _SOURCE),
    C.query_sm_resp: _parameters("message_id final_date message_state# error_code#"),
    C.replace_sm: _parameters(
        "message_id " + _SOURCE + "schedule_delivery_time validity_period registered_delivery#"
        " sm_default_msg_id# short_message"
    ),
    C.replace_sm_resp: (),
    C.cancel_sm: _parameters("service_type message_id " + _SOURCE + _DEST),
    C.cancel_sm_resp: (),
    C.alert_notification: _parameters(_SOURCE + "esme_addr_ton# esme_addr_npi# esme_addr"),
    # SMPP 5.0, 4.4 to 4.6: what of a broadcast is not here comes in TLVs
    C.broadcast_sm: _parameters(
        "service_type " + _SOURCE + "message_id priority_flag# schedule_delivery_time"
        " validity_period replace_if_present_flag# data_coding# sm_default_msg_id#"
    ),
    C.broadcast_sm_resp: _MESSAGE_ID,
    C.query_broadcast_sm: _parameters("message_id " + _SOURCE),
    C.query_broadcast_sm_resp: _MESSAGE_ID,
    C.cancel_broadcast_sm: _parameters("service_type message_id " + _SOURCE),
    C.cancel_broadcast_sm_resp: (),
}

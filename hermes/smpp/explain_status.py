"""What a command_status means for the message or the bind, in words."""

from __future__ import annotations

from typing import Final

from hermes.smpp.command import CommandId, is_response
from hermes.smpp.status import BindRetry, StatusClass, StatusRule, classify, classify_bind

_BINDS: Final = frozenset(
    (
        CommandId.bind_receiver_resp,
        CommandId.bind_transmitter_resp,
        CommandId.bind_transceiver_resp,
    )
)
_SUBMITS: Final = frozenset(
    (CommandId.submit_sm_resp, CommandId.data_sm_resp, CommandId.submit_multi_resp)
)
_RETRIES: Final = {
    BindRetry.NORMAL: "refused: tried again after 1 s, doubling to 60 s",
    BindRetry.OLD_SESSION: "refused: the old session must end first, tried again after 30 to 60 s",
    BindRetry.CREDENTIALS: "refused: credentials or contract, tried again after 60 s or more",
}


def status_meaning(command_id: int, status: int) -> str:
    """What the status of this command makes Hermes do, by the table without a carrier's own map."""
    if not is_response(command_id):
        return "" if status == 0 else "a request has no status; ignored"
    if command_id in _BINDS:
        return "bound" if status == 0 else _RETRIES[classify_bind(status)]
    if command_id in _SUBMITS:
        return _policy(classify(status))
    if command_id == CommandId.generic_nack:
        # 0 would be success, and a nack is none
        return _policy(classify(status or 0x03))
    return "done" if status == 0 else "the operation failed"


def _policy(rule: StatusRule) -> str:
    """A rule as a sentence."""
    match rule.status_class:
        case StatusClass.ACCEPTED:
            return "accepted"
        case StatusClass.THROTTLE if rule.queue_full:
            return "throttle: not an attempt; one probe at a time until the queue has room"
        case StatusClass.THROTTLE:
            return "throttle: not an attempt; slows down and sends it again"
        case StatusClass.RETRY:
            tries = "one more try" if rule.retries == 1 else f"up to {rule.retries} more tries"
            delay = f", the first after {rule.delay:g} s" if rule.delay else ""
            return f"retry: {tries}{delay}, then the attempt fails"
        case StatusClass.PERMANENT:
            return "permanent: the attempt fails"
        case StatusClass.CONFIG:
            times = "at once" if rule.stop_after <= 1 else f"after {rule.stop_after} in a row"
            return f"configuration: kept for another try; leaves the session {times}"
        case StatusClass.AMBIGUOUS:
            return "ambiguous: the outcome is open"

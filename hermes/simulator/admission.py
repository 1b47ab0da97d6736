"""Whether a bind or a submit_sm is accepted, and with which command_status it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hermes.smpp.status import CommandStatus

if TYPE_CHECKING:
    from hermes.simulator.account import AccountState
    from hermes.simulator.profile import Profile
    from hermes.simulator.session import Session
    from hermes.smpp.pdu import Pdu

OK: Final = 0


def bind_status(profile: Profile, system_id: str, password: str, session_count: int) -> int:
    """The answer to a bind of an account that has `session_count` sessions already."""
    passwords = {account.system_id: account.password for account in profile.accounts}
    if passwords and system_id not in passwords:
        return CommandStatus.ESME_RINVSYSID
    if passwords and password != passwords[system_id]:
        return CommandStatus.ESME_RINVPASWD
    if profile.max_sessions and session_count >= profile.max_sessions:
        return CommandStatus.ESME_RALYBND
    return OK


def submit_status(
    profile: Profile, session: Session, account: AccountState | None, pdu: Pdu, now: float
) -> int:
    """The answer to a submit_sm; only an accepted one counts against the cap."""
    if account is None or not session.can_transmit:
        return CommandStatus.ESME_RINVBNDSTS
    if not pdu.fields.get("destination_addr"):
        return CommandStatus.ESME_RINVDSTADR
    if profile.window and session.in_flight >= profile.window:
        return CommandStatus.ESME_RTHROTTLED
    if profile.queue_size and account.queued >= profile.queue_size:
        return CommandStatus.ESME_RMSGQFUL
    if account.cap is not None and not account.cap.admit(now):
        return CommandStatus.ESME_RTHROTTLED
    return OK

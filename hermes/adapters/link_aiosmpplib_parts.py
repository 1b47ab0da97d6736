"""What aiosmpplib 0.7.4 asks its user for: messages, queue, hook, and three parts left idle."""

# ruff: noqa: ARG002  (the signatures are the library's)
from __future__ import annotations

from aiosmpplib import (
    AbstractBroker,
    AbstractCorrelator,
    AbstractHook,
    AbstractThrottleHandler,
    SmppCommand,
    SmppCommandStatus,
    SmppMessage,
)

from hermes.adapters.link_accounts import Accounts, Submission, loop_time


class Request(SmppMessage):
    """A submission as the library's message; it sets `sequence_num` before it calls `pdu`."""

    def __init__(self, submission: Submission) -> None:
        self.sequence_num = 0
        self.command_status = SmppCommandStatus.ESME_ROK
        self.log_id = self.extra_data = ""
        self.submission = submission

    @property
    def smpp_command(self) -> SmppCommand:
        """A label for the library, that it numbers this message: the command is in the frame."""
        return SmppCommand.SUBMIT_SM

    def pdu(self) -> bytes:
        """The frame with the library's sequence number in it."""
        return self.submission.with_sequence(self.sequence_num)


class Broker(AbstractBroker):
    """Gives the library's sender what the accounts let out."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def enqueue(self, message: SmppMessage) -> None:
        """Unused: submits enter by the accounts."""
        raise NotImplementedError

    async def dequeue(self) -> SmppMessage:
        """The next submission."""
        return Request(await self._accounts.take())


class Hook(AbstractHook):
    """Tells the accounts of a submission after it got its number and before it is written."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def sending(self, smpp_message: SmppMessage, pdu: bytes, client_id: str) -> None:
        """Called before each write."""
        if isinstance(smpp_message, Request):
            sequence = smpp_message.sequence_num
            self._accounts.writing(smpp_message.submission, sequence, loop_time())

    async def received(self, smpp_message: SmppMessage | None, pdu: bytes, client_id: str) -> None:
        """Nothing: the link reads the octets itself."""

    async def send_error(self, smpp_message: SmppMessage, error: Exception, client_id: str) -> None:
        """Never called: the library does so for its own SubmitSm only."""


class NoThrottle(AbstractThrottleHandler):
    """Always allows: pacing is the caller's."""

    async def throttled(self) -> None:
        """Nothing."""

    async def not_throttled(self) -> None:
        """Nothing."""

    async def allow_request(self) -> bool:
        """Always."""
        return True

    async def throttle_delay(self) -> float:
        """Never asked."""
        return 0.0


class NoCorrelator(AbstractCorrelator):
    """Remembers nothing: the link keys what is in flight by sequence number itself."""

    async def put(self, smpp_message: SmppMessage) -> None:
        """Nothing."""

    async def get(self, response: SmppMessage) -> SmppMessage | None:
        """Nothing."""
        return None

    async def expired(self, smpp_message: SmppMessage) -> None:
        """Nothing."""

    async def get_segmented(
        self, smpp_seq_num: int, remove: bool = False
    ) -> tuple[object | None, int]:
        """Nothing."""
        return None, 0

    async def put_delivery(self, smsc_message_id: str, submit_sm: SmppMessage) -> None:
        """Nothing."""

    async def get_delivery(self, receipt: SmppMessage) -> SmppMessage | None:
        """Nothing."""
        return None

    async def put_delivery_segmented(self, deliver_sm: SmppMessage) -> SmppMessage | None:
        """Nothing."""
        return None

    def get_cumulated_status(self, ref_num: int) -> int:
        """Nothing."""
        return 0

"""Dead letters on NATS JetStream: read by direct get, removed by MSG.DELETE."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec.structs import replace
from nats.aio.msg import Msg

from hermes.adapters.ensure_jetstream import STREAM_NOT_FOUND
from hermes.adapters.pub_mux import PubMux
from hermes.adapters.publish_jetstream import ApiError, is_no_responders
from hermes.core.dead_letter import FiledLetter, file_letter
from hermes.core.errors import StoreUnavailable
from hermes.ports.stream import DEAD

GET: Final = f"$JS.API.DIRECT.GET.{DEAD}"
DELETE: Final = f"$JS.API.STREAM.MSG.DELETE.{DEAD}"
NOT_FOUND: Final = "404"
MESSAGE_NOT_FOUND: Final = (10037, 10043, 10057)
LAST_SEQ: Final = 2**63


class Deletion(msgspec.Struct, frozen=True):
    """The answer to a deletion."""

    success: bool = False
    error: ApiError | None = None


DELETIONS: Final = msgspec.json.Decoder(Deletion)


class JetStreamDeadLetters:
    """Implements DeadLetters over the requests of a connection."""

    def __init__(self, mux: PubMux) -> None:
        self._mux = mux

    async def list(self, after_seq: int, limit: int) -> list[FiledLetter]:
        """See `DeadLetters.list`."""
        found: list[FiledLetter] = []
        seq = after_seq
        while len(found) < limit and 0 <= seq < LAST_SEQ:
            filed = await self._ask(b'{"seq":%d,"next_by_subj":"dead.>"}' % (seq + 1))
            if filed is None:
                break
            seq = filed.seq
            found.append(replace(filed, letter=replace(filed.letter, envelope=None)))
        return found

    async def get(self, seq: int) -> FiledLetter | None:
        """See `DeadLetters.get`."""
        return await self._ask(b'{"seq":%d}' % seq) if 0 < seq < LAST_SEQ else None

    async def drop(self, seq: int) -> bool:
        """See `DeadLetters.drop`."""
        if not 0 < seq < LAST_SEQ:
            return False
        # without no_erase the server overwrites the message's place on disk first
        answer = await self._mux.request(DELETE, b'{"seq":%d,"no_erase":true}' % seq)
        if is_no_responders(answer):
            raise StoreUnavailable("nats", "JetStream is off, or not up yet")
        deletion = DELETIONS.decode(answer.data)
        if deletion.error is None:
            return deletion.success
        if deletion.error.err_code in (STREAM_NOT_FOUND, *MESSAGE_NOT_FOUND):
            return False
        raise StoreUnavailable("nats", f"{DEAD}: {deletion.error.description}")

    async def _ask(self, question: bytes) -> FiledLetter | None:
        answer = await self._mux.request(GET, question)
        headers = answer.headers or {}
        status = headers.get("Status")
        if status == NOT_FOUND or (is_no_responders(answer) and await self._is_missing()):
            return None
        if status is not None:
            raise StoreUnavailable("nats", f"look-up in {DEAD} answered {status}")
        return filed_of(answer, headers)

    async def _is_missing(self) -> bool:
        """Tell a stream that was never made from a JetStream that is not up."""
        answer = await self._mux.request(f"$JS.API.STREAM.INFO.{DEAD}", b"")
        if is_no_responders(answer):
            return False
        error = DELETIONS.decode(answer.data).error
        return error is not None and error.err_code == STREAM_NOT_FOUND


def filed_of(answer: Msg, headers: dict[str, str]) -> FiledLetter:
    """Give the letter of an answer."""
    try:
        at = msgspec.convert(headers.get("Nats-Time-Stamp"), datetime)
    except msgspec.ValidationError:
        at = datetime.fromtimestamp(0, UTC)
    seq = int(headers.get("Nats-Sequence", "0"))
    return file_letter(seq, headers.get("Nats-Subject", ""), answer.data, at)

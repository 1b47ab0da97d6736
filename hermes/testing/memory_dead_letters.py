"""Dead letters of the belt in this process."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from hermes.core.dead_letter import FiledLetter, file_letter
from hermes.ports.stream import DEAD
from hermes.testing.memory_stream import MemoryStreams

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryDeadLetters:
    """Implements DeadLetters over the streams in memory."""

    def __init__(self, streams: MemoryStreams) -> None:
        self._streams = streams

    async def list(self, after_seq: int, limit: int) -> list[FiledLetter]:
        """See `DeadLetters.list`."""
        seqs = sorted(seq for seq in self._stored() if seq > after_seq)[:limit]
        filed = [self._filed(seq) for seq in seqs]
        return [replace(one, letter=replace(one.letter, envelope=None)) for one in filed]

    async def get(self, seq: int) -> FiledLetter | None:
        """See `DeadLetters.get`."""
        return self._filed(seq) if seq in self._stored() else None

    async def drop(self, seq: int) -> bool:
        """See `DeadLetters.drop`."""
        return self._stored().pop(seq, None) is not None

    def _stored(self) -> dict[int, tuple[str, bytes]]:
        stream = self._streams.streams.get(DEAD)
        return {} if stream is None else stream.messages

    def _filed(self, seq: int) -> FiledLetter:
        subject, data = self._stored()[seq]
        return file_letter(seq, subject, data, BEGINNING)

"""Cuts a byte stream into PDU frames by command_length (SMPP 3.4, 3.2.2)."""

from __future__ import annotations

from typing import Final

MIN_LENGTH: Final = 16
MAX_LENGTH: Final = 66_560
"""A message_payload of 64 KiB and room for the rest of the PDU."""


class FrameError(Exception):
    """A command_length outside the bounds: the stream is lost, end the link.

    `frames` are the whole frames before it that this `feed` completed.
    """

    def __init__(self, length: int, max_length: int, frames: list[bytes]) -> None:
        self.length, self.frames = length, frames
        super().__init__(f"command_length {length} is outside {MIN_LENGTH}..{max_length}")


class FrameReader:
    """Collects octets and gives whole frames; any split of the stream gives the same frames."""

    def __init__(self, max_length: int = MAX_LENGTH) -> None:
        self.max_length = max_length
        self._buffer = bytearray()
        self._broken: int | None = None

    @property
    def buffered(self) -> int:
        """Octets of a frame that is not whole yet; more than 0 at the end means a cut PDU."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Add octets and return the frames they complete; FrameError ends the stream for good."""
        if self._broken is not None:
            raise FrameError(self._broken, self.max_length, [])
        buffer = self._buffer
        buffer += data
        frames: list[bytes] = []
        offset, size = 0, len(buffer)
        while size - offset >= 4:
            length = int.from_bytes(buffer[offset : offset + 4], "big")
            if not MIN_LENGTH <= length <= self.max_length:
                self._broken = length
                buffer.clear()
                raise FrameError(length, self.max_length, frames)
            if size - offset < length:
                break
            frames.append(bytes(buffer[offset : offset + length]))
            offset += length
        if offset:
            del buffer[:offset]
        return frames

"""One connection to Redis or Valkey: scripts and commands, and notice of a memory that was lost.

One connection used in turn costs half the CPU of the driver's client with its pool and retries;
whole batches go through in one call, so that nothing is gained by more.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Self

from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from uuid_utils.compat import uuid7

from hermes.core.errors import ConfigError, HermesBug, StoreUnavailable

EPOCH: Final = "epoch"
NAME: Final = "redis"
# how answers begin that only time or the operator can change
NOT_NOW: Final = ("NOREPLICAS", "MISCONF", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY")
PAUSE_S: Final = 0.5  # between attempts to connect: callers in between fail at once

OnLost = Callable[[str], None]


class Script:
    """A Lua script; takes one key and one argument (MessagePack), gives MessagePack."""

    def __init__(self, *parts: str) -> None:
        self.text = "\n".join(parts)
        self.sha = hashlib.sha1(self.text.encode()).hexdigest()  # noqa: S324 - Redis's own name
        self._head = b"*5\r\n$7\r\nEVALSHA\r\n$40\r\n%b\r\n$1\r\n1\r\n" % self.sha.encode()

    def call(self, key: bytes, payload: bytes) -> bytes:
        """Give the command that runs it, packed."""
        sizes = len(key), len(payload)
        return b"%b$%d\r\n%b\r\n$%d\r\n%b\r\n" % (self._head, sizes[0], key, sizes[1], payload)


class MemoryRefusedLogin(StoreUnavailable):
    """Redis does not accept the user or the password, or not for these commands.

    Whoever starts tells the operator; to what runs already it is one more way to be away.
    """

    def __init__(self, why: str) -> None:
        super().__init__(NAME, f"it refuses the credentials of redis.url: {why}")


class RedisMemory:
    """A connection that comes back by itself with the next call after it broke.

    `epoch` names this life of the memory. `on_lost(epoch)` is called where it turns out to be
    another, or a first one, before any call uses it: what was remembered is gone. `was_lost` says
    that this was so at the first connect. Calls raise StoreUnavailable.
    """

    def __init__(self, url: str, *, name: str, timeout_s: float, on_lost: OnLost | None) -> None:
        try:
            options: dict[str, Any] = dict(parse_url(url))
        except ValueError as error:
            raise ConfigError(f"redis.url cannot be read: {error}") from error
        kind: type[AbstractConnection] = options.pop("connection_class", Connection)
        # the driver's own timeouts cost a task per read; ours covers a whole call
        self._connection = kind(
            **options,
            protocol=3,
            client_name=name,
            socket_timeout=None,
            socket_connect_timeout=timeout_s,
        )
        self._timeout_s = timeout_s
        self._on_lost = on_lost
        self._turn = asyncio.Lock()
        self._not_before = 0.0
        self.epoch = ""
        self.was_lost = False

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        name: str = "hermes",
        timeout_s: float = 2.0,
        on_lost: OnLost | None = None,
    ) -> Self:
        """Connect (redis://, rediss://, unix://). Raises StoreUnavailable, MemoryRefusedLogin."""
        memory = cls(url, name=name, timeout_s=timeout_s, on_lost=on_lost)
        try:
            await memory.check_epoch()
        except BaseException:
            await memory.close()
            raise
        return memory

    async def run(self, script: Script, key: str, payload: bytes) -> bytes:
        """Run a script with one key (it decides the cluster slot) and one argument."""
        return (await self.run_many(script, [(key, payload)]))[0]

    async def run_many(self, script: Script, calls: Sequence[tuple[str, bytes]]) -> list[bytes]:
        """Run a script for several keys in one round trip, one answer each."""
        packed = [script.call(key.encode(), payload) for key, payload in calls]
        answers = await self._call(packed)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            load = self._connection.pack_command("SCRIPT", "LOAD", script.text)
            answers = (await self._call([b"".join(load), *packed]))[1:]
        for answer in answers:
            if not isinstance(answer, bytes):
                raise failure(answer)
        return answers

    async def command(self, *words: bytes | str | float) -> Any:
        """Run one command; answers are bytes, int, None, or lists of these."""
        return (await self.commands([words]))[0]

    async def commands(self, commands: Sequence[Sequence[bytes | str | float]]) -> list[Any]:
        """Run commands in one round trip; the first that fails is raised."""
        packed = [b"".join(self._connection.pack_command(*words)) for words in commands]
        answers = await self._call(packed)
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise failure(answer)
        return answers

    async def check_epoch(self) -> bool:
        """Say whether the memory is still the one known; if not, tell `on_lost`.

        Finds a memory that was emptied behind a connection that stayed.
        """
        known = self.epoch
        answers = await self._call(self._epoch_question())
        self._learn_epoch(answers)
        return self.epoch == known

    @property
    def made_at(self) -> datetime:
        """When this memory began; what is older and not in it may have been in the one before.

        The epoch is a UUIDv7, written by whoever connected first. An unknown one began long ago.
        """
        try:
            return datetime.fromtimestamp((uuid.UUID(self.epoch).int >> 80) / 1000, UTC)
        except ValueError:
            return datetime.fromtimestamp(0, UTC)

    async def close(self) -> None:
        """Close the connection."""
        async with self._turn:
            await self._connection.disconnect(nowait=True)

    async def _call(self, packed: Sequence[bytes]) -> list[Any]:
        async with self._turn:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._try_twice(packed)
            except TimeoutError as error:
                await self._break(PAUSE_S)
                raise StoreUnavailable(NAME, f"no answer in {self._timeout_s:g} s") from error
            except (RedisError, OSError) as error:
                await self._break(PAUSE_S)
                why = str(error) or type(error).__name__
                if is_refused_login(error):
                    raise MemoryRefusedLogin(why) from error
                raise StoreUnavailable(NAME, why) from error

    async def _try_twice(self, packed: Sequence[bytes]) -> list[Any]:
        if self._connection.is_connected:
            try:
                return await self._exchange(packed)
            except (RedisError, OSError):
                # a server that restarted while nothing was asked; every call may be repeated
                await self._break(0.0)
        await self._reconnect()
        return await self._exchange(packed)

    async def _break(self, pause_s: float) -> None:
        self._not_before = asyncio.get_running_loop().time() + pause_s
        await self._connection.disconnect(nowait=True)

    async def _exchange(self, packed: Sequence[bytes]) -> list[Any]:
        connection = self._connection
        await connection.send_packed_command(packed, check_health=False)
        answers: list[Any] = []
        for _ in packed:
            try:
                answers.append(await connection.read_response(disable_decoding=True))
            except ResponseError as error:
                answers.append(error)
        return answers

    async def _reconnect(self) -> None:
        if asyncio.get_running_loop().time() < self._not_before:
            raise StoreUnavailable(NAME, "not connected")
        await self._connection.connect()  # type: ignore[no-untyped-call]  # the driver's gap
        self._learn_epoch(await self._exchange(self._epoch_question()))

    def _epoch_question(self) -> tuple[bytes, bytes]:
        fresh = uuid7().hex
        pack = self._connection.pack_command
        return b"".join(pack("SET", EPOCH, fresh, "NX")), b"".join(pack("GET", EPOCH))

    def _learn_epoch(self, answers: Sequence[Any]) -> None:
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise failure(answer)
        made, found = answers
        epoch, known = found.decode(), self.epoch
        if epoch == known:
            return
        self.epoch = epoch
        if made is not None or known:
            self.was_lost = self.was_lost or not known
            if self._on_lost is not None:
                self._on_lost(epoch)


def is_refused_login(error: BaseException | None) -> bool:
    """Say whether an error is, or comes of, a refused login; the driver wraps it at connect."""
    while error is not None:
        if isinstance(error, AuthenticationError):
            return True
        error = error.__cause__
    return False


def failure(answer: object) -> StoreUnavailable | HermesBug:
    """Give an error answer as what it means for the caller."""
    match answer:
        case NoPermissionError():
            return MemoryRefusedLogin(str(answer))
        case OutOfMemoryError() | ReadOnlyError() | NoScriptError():
            return StoreUnavailable(NAME, str(answer))
        case ResponseError() if str(answer).partition(" ")[0] in NOT_NOW:
            return StoreUnavailable(NAME, str(answer))
        case _:
            return HermesBug(f"redis answered: {answer}")

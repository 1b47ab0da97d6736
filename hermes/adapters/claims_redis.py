"""Claims and leases in Redis: one script per batch, one key slot per carrier."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from hermes.adapters.redis_memory import RedisMemory, Script
from hermes.core.claim import Claim, decode_claim, encode_claim
from hermes.core.errors import Unreadable
from hermes.core.wire import BROKEN, said
from hermes.ports.claims import Advance, ClaimRequest, Found, Settled

INCARNATION_TTL_S: Final = 30 * 86_400

# KEYS[1] = claim:{<carrier>}; scripts build the keys of the batch, all of the same slot
CLAIM: Final = Script("""
local found = {}
for i, want in ipairs(cmsgpack.unpack(ARGV[1])) do
  local key = KEYS[1] .. ':' .. want[1]
  if redis.call('SET', key, want[2], 'NX', 'EX', want[3]) then
    found[i] = false
  else
    local value = redis.pcall('GET', key)
    found[i] = type(value) == 'string' and value or ''
  end
end
return cmsgpack.pack(found)
""")

# what cannot be read is nil, like what is not there: nobody changes it
READ: Final = """
local function read(key)
  local value = redis.pcall('GET', key)
  if type(value) ~= 'string' then return nil end
  local is_json, claim = pcall(cjson.decode, value)
  if not is_json or type(claim) ~= 'table' or type(claim.segments) ~= 'table' then return nil end
  for _, segment in ipairs(claim.segments) do
    if type(segment) ~= 'string' then return nil end
  end
  return claim
end
"""

ADVANCE: Final = Script(
    READ,
    """
local me, batch = unpack(cmsgpack.unpack(ARGV[1]))
local done = {}
for i, want in ipairs(batch) do
  local key = KEYS[1] .. ':' .. want[1]
  local claim = read(key)
  done[i] = claim ~= nil and claim.owner == want[2] and claim.state ~= 'cancelled'
  if done[i] then
    claim.owner = me
    for _, index in ipairs(want[3]) do
      if claim.segments[index + 1] == 'new' then claim.segments[index + 1] = 'written' end
    end
    redis.call('SET', key, cjson.encode(claim), 'KEEPTTL')
  end
end
return cmsgpack.pack(done)
""",
)

# used by the receipt store too: an accepted segment stays accepted
SETTLE_ONE: Final = f"""
{READ}
local function settle(prefix, attempt, segment, outcome, reason, settled_ttl)
  local key = prefix .. ':' .. attempt
  local claim = read(key)
  if not claim then return end
  local before = claim.segments[segment + 1]
  if not before or claim.state == 'cancelled' then return end
  if before:sub(1, 9) == 'accepted:' then return end
  claim.segments[segment + 1] = outcome
  if reason ~= '' then claim.reason = reason end
  redis.call('SET', key, cjson.encode(claim), 'KEEPTTL')
  if settled_ttl == 0 then return end
  for _, one in ipairs(claim.segments) do
    if one == 'new' or one == 'written' then return end
  end
  if redis.call('TTL', key) > settled_ttl then redis.call('EXPIRE', key, settled_ttl) end
end
"""

SETTLE: Final = Script(
    SETTLE_ONE,
    """
local ttl, outcomes = unpack(cmsgpack.unpack(ARGV[1]))
for _, o in ipairs(outcomes) do
  settle(KEYS[1], o[1], o[2], o[3], o[4], ttl)
end
return cmsgpack.pack(true)
""",
)

CANCEL: Final = Script(
    READ,
    """
local attempt, value, ttl = unpack(cmsgpack.unpack(ARGV[1]))
local key = KEYS[1] .. ':' .. attempt
if redis.call('SET', key, value, 'NX', 'EX', ttl) then return cmsgpack.pack(true) end
local claim = read(key)
return cmsgpack.pack(claim ~= nil and claim.state == 'cancelled')
""",
)

DROP: Final = Script(
    READ,
    """
local me, attempts = unpack(cmsgpack.unpack(ARGV[1]))
local untouched_words = { new = true, written = true, elsewhere = true }
for _, attempt in ipairs(attempts) do
  local key = KEYS[1] .. ':' .. attempt
  local claim = read(key)
  if claim then
    local untouched = claim.owner == me and claim.state ~= 'cancelled'
    for _, segment in ipairs(claim.segments) do
      if not untouched_words[segment] then untouched = false end
    end
    if untouched then redis.call('DEL', key) end
  end
end
return cmsgpack.pack(true)
""",
)

PACK: Final = msgspec.msgpack.Encoder()
YES_OR_NO: Final = msgspec.msgpack.Decoder(bool)
EACH_DONE: Final = msgspec.msgpack.Decoder(list[bool])
# what was found comes as raw octets: a claim's JSON, or false
FOUND: Final = msgspec.msgpack.Decoder(list[bool | str])
EACH_FOUND: Final = msgspec.msgpack.Decoder(list[msgspec.Raw])
ONE_FOUND: Final = msgspec.msgpack.Decoder(bool | str)
CANCELLED: Final = encode_claim(Claim("", (), "cancelled"))


def claim_prefix(carrier: str) -> str:
    """Give the prefix of a carrier's claims; the braces put them into one cluster slot."""
    return f"claim:{{{carrier}}}"


def found_of(found: bool | str | msgspec.Raw) -> Found:
    """Give what the script found in the place of a claim; false: nothing, so it is mine."""
    try:
        value = ONE_FOUND.decode(found) if isinstance(found, msgspec.Raw) else found
        return decode_claim(value.encode()) if isinstance(value, str) else None
    except BROKEN as error:
        return Unreadable("claim", said(error))
    except Unreadable as error:
        return error


class RedisClaims:
    """Implements Claims. `settled_ttl_s` shortens claims whose segments all have an outcome.

    None leaves them for their whole time: memory then holds every attempt of two days.
    """

    def __init__(self, memory: RedisMemory, settled_ttl_s: int | None = None) -> None:
        self._memory = memory
        self._settled_ttl_s = settled_ttl_s or 0

    async def claim(self, carrier: str, wanted: Sequence[ClaimRequest], me: str) -> list[Found]:
        """See `Claims.claim`."""
        values: dict[tuple[str, ...], str] = {}
        batch: list[tuple[str, str, int]] = []
        for attempt, segments, ttl_s in wanted:
            value = values.get(segments)
            if value is None:
                value = values[segments] = encode_claim(Claim(me, segments)).decode()
            batch.append((attempt, value, ttl_s))
        answer = await self._memory.run(CLAIM, claim_prefix(carrier), PACK.encode(batch))
        try:
            return [found_of(found) for found in FOUND.decode(answer)]
        except BROKEN:  # octets that are no text
            return [found_of(raw) for raw in EACH_FOUND.decode(answer)]

    async def advance(self, carrier: str, wanted: Sequence[Advance], me: str) -> list[bool]:
        """See `Claims.advance`."""
        payload = PACK.encode((me, wanted))
        return EACH_DONE.decode(await self._memory.run(ADVANCE, claim_prefix(carrier), payload))

    async def settle(self, carrier: str, outcomes: Sequence[Settled]) -> None:
        """See `Claims.settle`."""
        await self._ask(SETTLE, carrier, (self._settled_ttl_s, outcomes))

    async def cancel(self, carrier: str, attempt: str, ttl_s: int) -> bool:
        """See `Claims.cancel`."""
        return await self._ask(CANCEL, carrier, (attempt, CANCELLED.decode(), ttl_s))

    async def drop(self, carrier: str, attempts: Sequence[str], me: str) -> None:
        """See `Claims.drop`."""
        await self._ask(DROP, carrier, (me, attempts))

    async def _ask(self, script: Script, carrier: str, payload: object) -> bool:
        answer = await self._memory.run(script, claim_prefix(carrier), PACK.encode(payload))
        return YES_OR_NO.decode(answer)


class RedisLeases:
    """Implements Leases; every renewal also looks whether the memory was emptied meanwhile."""

    def __init__(self, memory: RedisMemory) -> None:
        self._memory = memory

    async def replace(self, host: str, bind: str, boot: str, ttl_s: float) -> None:
        """See `Leases.replace`."""
        incarnation = f"incarnation:{host}:{bind}"
        before = await self._memory.command("GET", incarnation)
        commands: list[tuple[str | bytes | int, ...]] = [
            ("SET", f"owner:{boot}", "1", "PX", round(ttl_s * 1000)),
            ("SET", incarnation, boot, "EX", INCARNATION_TTL_S),
        ]
        if before is not None and before != boot.encode():
            commands.insert(0, ("DEL", b"owner:" + before))
        await self._memory.commands(commands)

    async def renew(self, boot: str, ttl_s: float) -> bool:
        """See `Leases.renew`."""
        await self._memory.check_epoch()
        lease = ("SET", f"owner:{boot}", "1", "XX", "PX", round(ttl_s * 1000))
        return await self._memory.command(*lease) is not None

    async def release(self, boot: str) -> None:
        """See `Leases.release`."""
        await self._memory.command("DEL", f"owner:{boot}")

    async def owners_alive(self, boots: Iterable[str]) -> set[str]:
        """See `Leases.owners_alive`."""
        asked = sorted(set(boots))
        if not asked:
            return set()
        found = await self._memory.command("MGET", *(f"owner:{boot}" for boot in asked))
        return {boot for boot, lease in zip(asked, found, strict=True) if lease is not None}

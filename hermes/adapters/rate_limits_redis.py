"""Rates, pressure and credits shared through Redis; the server's clock counts for all hosts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from hermes.adapters.redis_memory import RedisMemory, Script
from hermes.ports.rate_limits import (
    CREDIT_LIFE_S,
    LONGEST_RETRY_S,
    NO_CREDITS_RETRY_S,
    PRESSURE_LIFE_S,
    SHARE,
    CreditRequest,
    Grant,
    Pressure,
    Slice,
)

RATE_LIFE_S: Final = 60
INDEX: Final = "pressure"

CLOCK: Final = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
"""

# KEYS[1] = rate:{<carrier>}, a hash of tokens and when they were counted
TAKE_RATE: Final = Script(
    CLOCK,
    f"""
local rate, burst, wanted = unpack(cmsgpack.unpack(ARGV[1]))
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = tonumber(bucket[1] or burst)
tokens = math.min(burst, tokens + math.max(0, now - tonumber(bucket[2] or now)) * rate)
local granted = math.min(wanted, math.floor(tokens))
tokens = tokens - granted
redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', tokens),
  'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], {RATE_LIFE_S})
local wait = 0
if granted == 0 then wait = (1 - tokens) / rate end
return cmsgpack.pack({{granted, wait}})
""",
)

# KEYS[1] = credit:{<carrier>}, a hash of host to {left, size, rate, at}
REFILL: Final = Script(
    CLOCK,
    f"""
local host, size, rate = unpack(cmsgpack.unpack(ARGV[1]))
local before, left = redis.call('HGET', KEYS[1], host), size
if before then left = size + math.min(0, cmsgpack.unpack(before)[1]) end
redis.call('HSET', KEYS[1], host, cmsgpack.pack({{left, size, rate, now}}))
redis.call('EXPIRE', KEYS[1], {CREDIT_LIFE_S})
return cmsgpack.pack(true)
""",
)

# credit-use:{<carrier>} is a hash of tenant to {second, segments taken in it}
TAKE: Final = Script(
    CLOCK,
    f"""
local users = 'credit-use:' .. KEYS[1]:sub(8)
local second = math.floor(now)
local hosts, left, size, rate = {{}}, 0, 0, 0
local stored = redis.call('HGETALL', KEYS[1])
for i = 1, #stored, 2 do
  local h = cmsgpack.unpack(stored[i + 1])
  if now - h[4] < {CREDIT_LIFE_S} then
    hosts[#hosts + 1] = {{name = stored[i], entry = h}}
    left, size, rate = left + h[1], size + h[2], rate + h[3]
  end
end
local used, active = {{}}, 0
stored = redis.call('HGETALL', users)
for i = 1, #stored, 2 do
  local u = cmsgpack.unpack(stored[i + 1])
  if u[1] >= second - 1 then
    active = active + 1
    used[stored[i]] = u[1] == second and u[2] or 0
  end
end
local asked = cmsgpack.unpack(ARGV[1])
for _, want in ipairs(asked) do
  if not used[want[1]] then active = active + 1; used[want[1]] = 0 end
end
local share = size
if active > 1 then share = math.ceil(size * {SHARE}) end
local grants = {{}}
for i, want in ipairs(asked) do
  local tenant, segments = want[1], want[2]
  if #hosts == 0 then
    grants[i] = {{false, {NO_CREDITS_RETRY_S}}}
  elseif left <= 0 then
    local wait = rate > 0 and (1 - left) / rate or {LONGEST_RETRY_S}
    grants[i] = {{false, math.max(1, math.min({LONGEST_RETRY_S}, wait))}}
  elseif used[tenant] >= share then
    grants[i] = {{false, 1}}
  else
    left, used[tenant] = left - segments, used[tenant] + segments
    local richest = hosts[1]
    for _, host in ipairs(hosts) do
      if host.entry[1] > richest.entry[1] then richest = host end
    end
    richest.entry[1] = richest.entry[1] - segments
    richest.changed = true
    grants[i] = {{true, 0}}
  end
end
for _, host in ipairs(hosts) do
  if host.changed then redis.call('HSET', KEYS[1], host.name, cmsgpack.pack(host.entry)) end
end
local written = {{}}
for _, want in ipairs(asked) do
  if not written[want[1]] then
    written[want[1]] = true
    redis.call('HSET', users, want[1], cmsgpack.pack({{second, used[want[1]]}}))
  end
end
redis.call('EXPIRE', users, {CREDIT_LIFE_S})
return cmsgpack.pack(grants)
""",
)

PACK: Final = msgspec.msgpack.Encoder()
SLICE: Final = msgspec.msgpack.Decoder(Slice)
GRANTS: Final = msgspec.msgpack.Decoder(list[Grant])
PRESSURE: Final = msgspec.json.Decoder(Pressure)


class RedisRateLimits:
    """Implements RateLimits."""

    def __init__(self, memory: RedisMemory) -> None:
        self._memory = memory

    async def take_rate(self, carrier: str, rate: float, burst: int, wanted: int) -> Slice:
        """See `RateLimits.take_rate`."""
        payload = PACK.encode((rate, burst, wanted))
        return SLICE.decode(await self._memory.run(TAKE_RATE, f"rate:{{{carrier}}}", payload))

    async def publish_pressure(self, pressure: Pressure) -> None:
        """See `RateLimits.publish_pressure`."""
        name = f"{INDEX}:{pressure.carrier}:{pressure.host}"
        value = msgspec.json.encode(pressure)
        await self._memory.commands(
            [
                ("SET", name, value, "EX", PRESSURE_LIFE_S),
                ("SADD", INDEX, name),
                ("EXPIRE", INDEX, 60 * PRESSURE_LIFE_S),
            ]
        )

    async def pressures(self) -> list[Pressure]:
        """See `RateLimits.pressures`."""
        names = await self._memory.command("SMEMBERS", INDEX)
        if not names:
            return []
        ordered = sorted(names)
        values = await self._memory.command("MGET", *ordered)
        gone = [name for name, value in zip(ordered, values, strict=True) if value is None]
        if gone:
            await self._memory.command("SREM", INDEX, *gone)
        return [PRESSURE.decode(value) for value in values if value is not None]

    async def refill(self, carrier: str, host: str, segments: int, rate: float) -> None:
        """See `RateLimits.refill`."""
        await self._memory.run(REFILL, credit_key(carrier), PACK.encode((host, segments, rate)))

    async def take(self, requests: Sequence[CreditRequest]) -> list[Grant]:
        """See `RateLimits.take`."""
        places: dict[str, list[int]] = {}
        for place, request in enumerate(requests):
            places.setdefault(request.carrier, []).append(place)
        grants: list[Grant] = [Grant(granted=False)] * len(requests)
        calls: list[tuple[str, bytes]] = []
        for carrier, mine in places.items():
            asked = [(requests[place].tenant, requests[place].segments) for place in mine]
            calls.append((credit_key(carrier), PACK.encode(asked)))
        answers = await self._memory.run_many(TAKE, calls) if calls else []
        for mine, answer in zip(places.values(), answers, strict=True):
            for place, grant in zip(mine, GRANTS.decode(answer), strict=True):
                grants[place] = grant
        return grants


def credit_key(carrier: str) -> str:
    """Give the key of a carrier's credits; the braces put all of it into one cluster slot."""
    return f"credit:{{{carrier}}}"

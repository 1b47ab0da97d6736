"""Correlation of responses and receipts in Redis: both sides write and look in one script.

A script runs alone on the server, so "write, then look" and "look, and write where nothing is"
are the same; a receipt that finds its response is never written.

Keys: dlr:{carrier}:<id> holds the Target, or `@<id>` as a pointer from the canonical notation;
orphan:{carrier}:<key> is a list of receipts, one under each notation of its id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from hermes.adapters.claims_redis import SETTLE_ONE
from hermes.adapters.redis_memory import RedisMemory, Script
from hermes.core.number_match import SHORTEST_SUFFIX, digits
from hermes.core.wire import BROKEN
from hermes.ports.receipt_store import Accepted, OrphanMatch, Receipt, Settlement, Target
from hermes.smpp.message_id import IdForm, convert, forms

ORPHAN_TTL_S: Final = 6 * 3_600
FINAL_TTL_S: Final = 3_600
FORM_TTL_S: Final = 30 * 86_400

# the rules of hermes.core.number_match
AGREE: Final = f"""
local function digits(address)
  if address:find('[%a\\128-\\255]') then return '' end
  return (address:gsub('%D', ''):gsub('^0+', ''))
end
local function same(one, other)
  if one == other then return true end
  if #one > #other then one, other = other, one end
  return #one >= {SHORTEST_SUFFIX} and other:sub(-#one) == one
end
local function agree(target, source, destination)
  local sent_to, sent_from = digits(target[3]), digits(target[2])
  if sent_to == '' or not same(sent_to, source) then return false end
  return sent_from == '' or destination == '' or same(sent_from, destination)
end
local function learn(carrier, form)
  redis.call('SET', 'id-form:' .. carrier, form, 'EX', {FORM_TTL_S})
end
local function shorten(key, ttl)
  if redis.call('TTL', key) > ttl then redis.call('EXPIRE', key, ttl) end
end
"""

# item = {id, canonical or false, target, ttl}; orphan = {inbound, id, source, destination, final,
# keys, forms}; gives {index, inbound} per orphan matched
ACCEPT: Final = """
local function accept(carrier, items, final_ttl)
  local dlr, orphan = 'dlr:' .. carrier .. ':', 'orphan:' .. carrier .. ':'
  local keys = {}
  for _, item in ipairs(items) do
    local id, alias = item[1], item[2]
    redis.call('SET', dlr .. id, item[3], 'EX', item[4])
    keys[#keys + 1] = orphan .. id
    if alias then
      local there = redis.call('GET', dlr .. alias)
      if not there or there:byte() == 64 then
        redis.call('SET', dlr .. alias, '@' .. id, 'EX', item[4])
      end
      keys[#keys + 1] = orphan .. alias
    end
  end
  local matched = {}
  if #keys == 0 or redis.call('EXISTS', unpack(keys)) == 0 then return matched end
  for index, item in ipairs(items) do
    for _, key in ipairs({item[1], item[2] or nil}) do
      for _, packed in ipairs(redis.call('LRANGE', orphan .. key, 0, -1)) do
        local waits = cmsgpack.unpack(packed)
        local exact = waits[2] == item[1]
        if exact or agree(cmsgpack.unpack(item[3]), waits[3], waits[4]) then
          matched[#matched + 1] = {index, waits[1]}
          for at, other in ipairs(waits[6]) do
            redis.call('LREM', orphan .. other, 0, packed)
            if other == key and not exact then learn(carrier, waits[7][at]) end
          end
          if waits[5] then shorten(dlr .. item[1], final_ttl) end
        end
      end
    end
  end
  return matched
end
"""

# KEYS[1] = dlr:{<carrier>}
ACCEPTED: Final = Script(
    AGREE,
    ACCEPT,
    """
local final_ttl, items = unpack(cmsgpack.unpack(ARGV[1]))
return cmsgpack.pack(accept(KEYS[1]:sub(5), items, final_ttl))
""",
)

SETTLE_ACCEPTED: Final = Script(
    SETTLE_ONE,
    AGREE,
    ACCEPT,
    """
local ttl, final_ttl, outcomes, items = unpack(cmsgpack.unpack(ARGV[1]))
local carrier = KEYS[1]:sub(5)
for _, o in ipairs(outcomes) do
  settle('claim:' .. carrier, o[1], o[2], o[3], o[4], ttl)
end
return cmsgpack.pack(accept(carrier, items, final_ttl))
""",
)

# item = {id, source, destination, inbound, final, keys, forms}; gives an array of targets as they
# are stored, and nils
RECEIPT: Final = Script(
    AGREE,
    r"""
local orphan_ttl, final_ttl, items = unpack(cmsgpack.unpack(ARGV[1]))
local carrier = KEYS[1]:sub(5)
local dlr, orphan = KEYS[1] .. ':', 'orphan:' .. carrier .. ':'

local function find(id, source, destination, keys, forms)
  for at, key in ipairs(keys) do
    local value, owner, alias = redis.call('GET', dlr .. key), key, nil
    if value and value:byte() == 64 then
      owner, alias = value:sub(2), key
      value = redis.call('GET', dlr .. owner)
    end
    if value then
      if owner == id then return value, owner, alias end
      local is_packed, target = pcall(cmsgpack.unpack, value)
      local is_target = is_packed and type(target) == 'table' and target[3]
      if is_target and agree(target, source, destination) then
        learn(carrier, forms[at])
        return value, owner, alias
      end
    end
  end
  return false
end

local targets = {}
for index, item in ipairs(items) do
  local id, source, destination, inbound, final, keys, forms = unpack(item)
  local value, owner, alias = find(id, source, destination, keys, forms)
  targets[index] = value or '\192'
  if value and final then
    shorten(dlr .. owner, final_ttl)
    if alias then shorten(dlr .. alias, final_ttl) end
  elseif not value and orphan_ttl > 0 then
    local packed = cmsgpack.pack({inbound, id, source, destination, final, keys, forms})
    for _, key in ipairs(keys) do
      redis.call('LREM', orphan .. key, 0, packed)
      redis.call('RPUSH', orphan .. key, packed)
      redis.call('EXPIRE', orphan .. key, orphan_ttl)
    end
  end
end
local head = string.char(220, math.floor(#targets / 256), #targets % 256)
return head .. table.concat(targets)
""",
)

PACK: Final = msgspec.msgpack.Encoder()
MATCHED: Final = msgspec.msgpack.Decoder(list[tuple[int, str]])
TARGETS: Final = msgspec.msgpack.Decoder(list[Target | None])
CONVERSIONS: Final = frozenset((IdForm.HEX_TO_DEC, IdForm.DEC_TO_HEX))
EVERY_FORM: Final = frozenset(IdForm)
# an id that only matches as it is where the response's was normalised stands in canonical notation
LEARNED: Final = {form: form.value for form in IdForm} | {IdForm.AS_IS: IdForm.ZEROS.value}
# what a profile's id_form allows beside the id as it is
ALLOWED: Final[Mapping[str, frozenset[IdForm]]] = {
    "learn": EVERY_FORM,
    "same": frozenset((IdForm.AS_IS,)),
    "strip-zeros": EVERY_FORM - CONVERSIONS,
    "hex-dec": EVERY_FORM - {IdForm.DEC_TO_HEX},
    "dec-hex": EVERY_FORM - {IdForm.HEX_TO_DEC},
}

KeysOf = Callable[[str], tuple[list[str], list[str]]]
AcceptedItem = tuple[str, str | None, msgspec.Raw, int]


class RedisReceiptStore:
    """Implements ReceiptStore. `id_forms` gives the id_form of carriers that are not to be learned.

    `settled_ttl_s` as for RedisClaims; `final_ttl_s` is how long an id is known after its final
    receipt, for its repeats; times in seconds.
    """

    def __init__(
        self,
        memory: RedisMemory,
        id_forms: Mapping[str, str] | None = None,
        *,
        orphan_ttl_s: int = ORPHAN_TTL_S,
        settled_ttl_s: int | None = None,
        final_ttl_s: int = FINAL_TTL_S,
    ) -> None:
        self._memory = memory
        self._id_forms = id_forms or {}
        self._orphan_ttl_s = orphan_ttl_s
        self._settled_ttl_s = settled_ttl_s or 0
        self._final_ttl_s = final_ttl_s
        # carriers whose last batch of receipts repeated every id as it was
        self._repeats: dict[str, bool] = {}

    async def accepted(self, carrier: str, items: Sequence[Accepted]) -> list[OrphanMatch]:
        """See `ReceiptStore.accepted`."""
        kept = [item for item in items if item.target.carrier_message_id]
        payload = (self._final_ttl_s, [accepted_item(item) for item in kept])
        answer = await self._memory.run(ACCEPTED, dlr_prefix(carrier), PACK.encode(payload))
        return matches(answer, kept)

    async def settle_accepted(self, carrier: str, items: Sequence[Settlement]) -> list[OrphanMatch]:
        """See `ReceiptStore.settle_accepted`."""
        kept = [
            item.accepted
            for item in items
            if item.accepted is not None and item.accepted.target.carrier_message_id
        ]
        payload = (
            self._settled_ttl_s,
            self._final_ttl_s,
            [item[:4] for item in items],
            [accepted_item(item) for item in kept],
        )
        answer = await self._memory.run(SETTLE_ACCEPTED, dlr_prefix(carrier), PACK.encode(payload))
        return matches(answer, kept)

    async def receipt(self, carrier: str, items: Sequence[Receipt]) -> list[Target | None]:
        """See `ReceiptStore.receipt`."""
        if not self._repeats.get(carrier, True):
            found = await self._look(carrier, items, self._in_all_forms(carrier), keep=True)
        else:
            # forms cost more than the rest of a receipt: only for those that are not as they were
            found = await self._look(carrier, items, as_it_is, keep=False)
            missing = [place for place, target in enumerate(found) if target is None]
            rest = await self._look(
                carrier, [items[i] for i in missing], self._in_all_forms(carrier), keep=True
            )
            for place, target in zip(missing, rest, strict=True):
                found[place] = target
        self._repeats[carrier] = all(
            target is not None and target.carrier_message_id == item.id
            for target, item in zip(found, items, strict=True)
        )
        return found

    async def _look(
        self, carrier: str, items: Sequence[Receipt], keys_of: KeysOf, *, keep: bool
    ) -> list[Target | None]:
        if not items:
            return []
        batch: list[tuple[str, str, str, str, bool, list[str], list[str]]] = []
        for message_id, source, destination, inbound, is_final in items:
            keys, labels = keys_of(message_id)
            addresses = digits(source), digits(destination)
            batch.append((message_id, *addresses, inbound, is_final, keys, labels))
        payload = PACK.encode((self._orphan_ttl_s if keep else 0, self._final_ttl_s, batch))
        answer = await self._memory.run(RECEIPT, dlr_prefix(carrier), payload)
        try:
            return TARGETS.decode(answer)
        except BROKEN:
            # one cannot be read, which hides where the next begins; the ledger may know more
            if len(items) == 1:
                return [None]
            return [(await self._look(carrier, [i], keys_of, keep=keep))[0] for i in items]

    def _in_all_forms(self, carrier: str) -> KeysOf:
        allowed = ALLOWED[self._id_forms.get(carrier, "learn")]

        def keys_of(message_id: str) -> tuple[list[str], list[str]]:
            keys = [key for key in forms(message_id) if key.form in allowed]
            return [key.key for key in keys], [LEARNED[key.form] for key in keys]

        return keys_of

    async def learned_form(self, carrier: str) -> IdForm | None:
        """See `ReceiptStore.learned_form`."""
        found = await self._memory.command("GET", f"id-form:{{{carrier}}}")
        return None if found is None else IdForm(found.decode())


def as_it_is(message_id: str) -> tuple[list[str], list[str]]:
    """Give the only key of an id as it is, and what is learned where it only matches otherwise."""
    return [message_id], [LEARNED[IdForm.AS_IS]]


def dlr_prefix(carrier: str) -> str:
    """Give the prefix of a carrier's ids; the braces put them into one cluster slot."""
    return f"dlr:{{{carrier}}}"


def accepted_item(item: Accepted) -> AcceptedItem:
    """Give a response as the script takes it."""
    message_id = item.target.carrier_message_id
    return message_id, canonical(message_id), as_text(PACK.encode(item.target)), item.ttl_s


def as_text(octets: bytes) -> msgspec.Raw:
    """Give octets as a MessagePack string: the server's Lua does not read the type for octets."""
    return msgspec.Raw(b"\xda" + len(octets).to_bytes(2, "big") + octets)


def canonical(message_id: str) -> str | None:
    """Give the notation without case, 0x and zeros, None where the id stands in it already."""
    plain = convert(message_id, IdForm.ZEROS) or convert(message_id, IdForm.CASE)
    return None if plain == message_id else plain


def matches(answer: bytes, items: Sequence[Accepted]) -> list[OrphanMatch]:
    """Read the script's answer: orphans by the place (from 1) of the response they belong to."""
    return [
        OrphanMatch(inbound, items[place - 1].target) for place, inbound in MATCHED.decode(answer)
    ]

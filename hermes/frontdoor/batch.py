"""`POST /v1/messages/batch`: up to 1,000 messages in one request, each with its own answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from hermes.core.message import Message
from hermes.frontdoor.problem import Problem
from hermes.frontdoor.schema import SendRequest, invalid, of_validation

MOST = 1000


class BatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Messages as raw JSON, so that one wrong one refuses only itself."""

    messages: list[msgspec.Raw]


DECODER = msgspec.json.Decoder(BatchRequest)
ITEM = msgspec.json.Decoder(SendRequest)


def parse(body: bytes) -> list[msgspec.Raw]:
    """Parse the frame of a batch. Raises Problem when it is not one, empty, or too long."""
    try:
        items = DECODER.decode(body).messages
    except msgspec.ValidationError as error:
        raise of_validation(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem("malformed", f"the body is not JSON: {error}", rule="json") from error
    if not 1 <= len(items) <= MOST:
        raise invalid("messages", f"must hold 1 to {MOST} messages, has {len(items)}")
    return items


def read_items(
    items: list[msgspec.Raw], make: Callable[[SendRequest], Message]
) -> list[Message | Problem]:
    """Validate each message by itself; a refusal names its place in the list."""
    return [read_item(item, index, make) for index, item in enumerate(items)]


def read_item(
    item: msgspec.Raw, index: int, make: Callable[[SendRequest], Message]
) -> Message | Problem:
    """Give one message, or why it is refused."""
    try:
        return make(ITEM.decode(item))
    except msgspec.ValidationError as error:
        problem = of_validation(str(error))
    except Problem as error:
        problem = error
    field = f"messages[{index}].{problem.field}" if problem.field else f"messages[{index}]"
    return Problem(problem.code, problem.detail, field=field, rule=problem.rule)


def batch_body(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the body of the answer: one result for each message, in order."""
    accepted = sum(1 for result in results if "id" in result)
    return {"accepted": accepted, "refused": len(results) - accepted, "messages": results}

"""The aiohttp application of one front door process."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import structlog
from aiohttp import web
from uuid_utils.compat import uuid7

from hermes import crash
from hermes.core.errors import HermesError, StoreUnavailable
from hermes.core.ids import BadId, decode_message_id, encode_message_id
from hermes.core.message import Message
from hermes.frontdoor import batch, schema
from hermes.frontdoor.cancellation import Canceller
from hermes.frontdoor.gather import Gather
from hermes.frontdoor.intake_publisher import IntakePublisher
from hermes.frontdoor.keyring import Keyring
from hermes.frontdoor.problem import Problem
from hermes.frontdoor.validation import Rules, message_of, read_body
from hermes.frontdoor.view import accepted_body, later_body, message_body
from hermes.metrics import Metrics
from hermes.ports.message_store import (
    CommitResult,
    Committed,
    Conflict,
    MessageStore,
    Refused,
    Replayed,
    Submission,
)

RETRY_AFTER = "2"
IDEMPOTENCY_KEY = "Idempotency-Key"
LONGEST_KEY = 255
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FrontDoor:
    """Handlers of `/v1`; a 202 is given only after the ledger's commit."""

    def __init__(
        self,
        rules: Rules,
        store: MessageStore,
        keyring: Keyring,
        publisher: IntakePublisher,
        metrics: Metrics,
        canceller: Canceller,
    ) -> None:
        self.rules, self.store, self.keyring = rules, store, keyring
        self.publisher, self.metrics, self.canceller = publisher, metrics, canceller
        self.commits: Gather[Submission, CommitResult] = Gather(self.commit)
        self.log = structlog.get_logger()

    def app(self) -> web.Application:
        """Make the application."""
        app = web.Application(
            middlewares=[self.answer_problems], client_max_size=self.rules.max_body
        )
        app.router.add_post("/v1/messages", self.post_message)
        app.router.add_post("/v1/messages/batch", self.post_batch)
        app.router.add_get("/v1/messages/{id}", self.get_message)
        app.router.add_delete("/v1/messages/{id}", self.delete_message)
        app.router.add_get("/healthz", self.healthz)
        app.router.add_get("/readyz", self.readyz)
        return app

    # Handlers

    async def post_message(self, request: web.Request) -> web.Response:
        """Accept one message: authenticate, validate, commit, answer 202."""
        key = await self.keyring.authenticate(request.headers.get("Authorization"))
        body = await read_body(request, self.rules.max_body)
        asked = schema.parse(body)
        message = message_of(asked, key.tenant, uuid7(), utc_now(), self.rules)
        name = idempotency_key(request)
        result = await self.commits.submit(
            Submission(
                message=message,
                api_key=key.id,
                key=name,
                body_hash=schema.digest(body) if name else b"",
            )
        )
        return await self.answer(message, result, asked.send_at)

    async def answer(
        self, message: Message, result: CommitResult, asked: datetime | None
    ) -> web.Response:
        """Answer by what the ledger said; `asked` is the request's `send_at`. Raises Problem."""
        match result:
            case Committed():
                return accepted(message, asked)
            case Replayed(id=first):
                return await self.replay(message, first, asked)
            case Conflict() | Refused():
                raise refusal_of(result)

    async def replay(self, message: Message, first: UUID, asked: datetime | None) -> web.Response:
        """Answer as the first time: with the times of the message that was made then."""
        view = await self.store.find(message.tenant, first)
        names = ("accepted_at", "send_at", "expires_at")
        times = {} if view is None else {name: getattr(view, name) for name in names}
        answer = accepted(msgspec.structs.replace(message, id=first, **times), asked)
        answer.headers["Idempotent-Replay"] = "true"
        return answer

    async def post_batch(self, request: web.Request) -> web.Response:
        """Accept many messages in one transaction; one that is refused refuses only itself."""
        key = await self.keyring.authenticate(request.headers.get("Authorization"))
        items = batch.parse(await read_body(request, self.rules.max_body))
        name, now = idempotency_key(request), utc_now()
        asked: dict[UUID, datetime] = {}

        def make(one: schema.SendRequest) -> Message:
            message = message_of(one, key.tenant, uuid7(), now, self.rules)
            if one.send_at is not None:
                asked[message.id] = one.send_at
            return message

        read = batch.read_items(items, make)
        submissions = [
            Submission(
                message=one,
                api_key=key.id,
                key=f"{name}:{index}" if name else None,
                body_hash=schema.digest(bytes(items[index])) if name else b"",
            )
            for index, one in enumerate(read)
            if isinstance(one, Message)
        ]
        committed = iter(await self.commit(submissions) if submissions else ())
        body = batch.batch_body(
            [
                item_of(one, next(committed), asked) if isinstance(one, Message) else one.body()
                for one in read
            ]
        )
        answer = as_json(body)
        answer.set_status(202 if body["accepted"] else 422)
        return answer

    async def commit(self, items: Sequence[Submission]) -> Sequence[CommitResult]:
        """Write a batch in one transaction, then publish what was written."""
        began = time.perf_counter()
        results = await self.store.commit(items)
        crash.at("after_commit", len(items))
        self.metrics.commit_seconds.observe(time.perf_counter() - began)
        self.publisher.publish(
            [
                item.message
                for item, result in zip(items, results, strict=True)
                if isinstance(result, Committed) and item.message.send_at is None
            ]
        )
        return results

    async def get_message(self, request: web.Request) -> web.Response:
        """Show a message of the caller's own tenant."""
        key = await self.keyring.authenticate(request.headers.get("Authorization"))
        message_id = id_of(request)
        view = await self.store.find(key.tenant, message_id)
        if view is None:
            raise Problem("not-found", "this tenant has no such message", field="id")
        return as_json(message_body(view, self.rules.receiptless, utc_now()))

    async def delete_message(self, request: web.Request) -> web.Response:
        """Cancel a message of the caller's own tenant: 200, or 409 when it is too late."""
        key = await self.keyring.authenticate(request.headers.get("Authorization"))
        message_id = id_of(request)
        state = await self.canceller.cancel(key.tenant, message_id)
        return as_json({"id": encode_message_id(message_id), "state": state})

    async def healthz(self, _: web.Request) -> web.Response:
        """Say that this process answers."""
        return as_json({"status": "up"})

    async def readyz(self, _: web.Request) -> web.Response:
        """Say whether messages can be accepted now."""
        await self.store.api_keys([""])
        return as_json({"status": "ready"})

    # Last resort

    @web.middleware
    async def answer_problems(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn every refusal and failure into a problem document."""
        try:
            answer = await handler(request)
        except Problem as problem:
            answer = problem.response()
        except web.HTTPException as error:
            answer = problem_of(error).response()
        except StoreUnavailable as error:
            self.log.warning("store.unavailable", reason=str(error))
            answer = Problem(
                "unavailable",
                f"{error.store} cannot be reached",
                headers={"Retry-After": RETRY_AFTER},
            ).response()
        except HermesError:
            self.log.exception("request.failed")
            answer = Problem("internal", "the error was logged").response()
        except Exception:
            self.log.exception("request.failed")
            answer = Problem("internal", "the error was logged").response()
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        self.metrics.requests.labels(route, str(answer.status)).inc()
        return answer


def refusal_of(result: Conflict | Refused) -> Problem:
    """Give the problem of a message the ledger did not take."""
    if isinstance(result, Refused):
        return schema.invalid("text", result.why)
    return Problem(
        "idempotency",
        "this Idempotency-Key was used before with another body",
        field=IDEMPOTENCY_KEY,
        rule="same body",
    )


def item_of(
    message: Message, result: CommitResult, asked: Mapping[UUID, datetime]
) -> dict[str, object]:
    """Give one line of a batch's answer; `asked` holds the `send_at` of requests."""
    if isinstance(result, Committed | Replayed):
        said: dict[str, object] = {"id": encode_message_id(result.id), "state": "accepted"}
        said["segments"] = message.segments
        if isinstance(result, Replayed):
            return said | {"replayed": True}
        return said | later_body(message, asked.get(message.id))
    return refusal_of(result).body()


def utc_now() -> datetime:
    """Give this host's UTC time: ids and stamps; decisions are the ledger's."""
    return datetime.now(UTC)  # noqa: TID251 - the shell's clock


def accepted(message: Message, asked: datetime | None) -> web.Response:
    """Give the 202; `asked` is the request's `send_at`."""
    answer = as_json(accepted_body(message, asked))
    answer.set_status(202)
    return answer


def id_of(request: web.Request) -> UUID:
    """Give the message id of the path. Raises Problem 404."""
    try:
        return decode_message_id(request.match_info["id"])
    except BadId as error:
        rule = "msg_ and 26 letters"
        raise Problem("not-found", str(error), field="id", rule=rule) from error


def idempotency_key(request: web.Request) -> str | None:
    """Give the Idempotency-Key. Raises Problem when it is too long or unprintable."""
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is not None and not (0 < len(key) <= LONGEST_KEY and key.isprintable()):
        raise Problem(
            "invalid",
            f"{IDEMPOTENCY_KEY} must be 1 to {LONGEST_KEY} printable characters",
            field=IDEMPOTENCY_KEY,
            rule="length",
        )
    return key


def problem_of(error: web.HTTPException) -> Problem:
    """Turn aiohttp's refusals into problems."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"this route allows {allowed}"
        return Problem("method", detail, field="method", rule=allowed, headers={"Allow": allowed})
    if error.status == 404:
        return Problem("not-found", "there is no such route")
    return Problem("malformed" if error.status < 500 else "internal", error.reason)


def as_json(value: object) -> web.Response:
    """Answer with JSON."""
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")

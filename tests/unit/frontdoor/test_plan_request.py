"""Plans in requests: what a good one becomes, and each fault named by its step."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from hermes.core.carrier import Carrier
from hermes.core.message import Message
from hermes.core.plan import ONE_SMS, Content, Plan, Step, Unsubscribe
from hermes.core.quiet import QuietHours
from hermes.core.units import Money
from hermes.frontdoor.plan_request import PlanRules
from hermes.frontdoor.problem import Problem
from hermes.frontdoor.schema import parse
from hermes.frontdoor.validation import Rules, message_of
from hermes.frontdoor.view import accepted_body
from hermes.routing.table import RouteTable
from hermes.settings.tree import CascadeDefault

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ROUTES = RouteTable((Carrier(id="sim"), Carrier(id="mail", kind="smtp")))
PLANS = PlanRules(routes=ROUTES, has_engine=True, channels={"small": frozenset({"sms"})})
RULES = Rules(max_body=100_000, expires_after_s=86_400.0, max_segments=3, plans=PLANS)
TO, MAIL = "+4512345678", "a@example.net"


def made(body: dict[str, Any], rules: Rules = RULES, tenant: str = "acme") -> Message:
    request = parse(msgspec.json.encode(body))
    return message_of(request, tenant, UUID(int=1), NOW, rules)


def refused(body: dict[str, Any], rules: Rules = RULES, tenant: str = "acme") -> tuple[str, str]:
    with pytest.raises(Problem) as caught:
        made(body, rules, tenant)
    assert caught.value.status == 422
    return caught.value.field or "", caught.value.rule or ""


def two(
    first: dict[str, Any] | None = None, second: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Give a right cascade of mail and SMS with some fields changed."""
    mail = {"channel": "email", "to": MAIL, "wait": "10s"} | (first or {})
    return {"to": TO, "text": "hello", "cascade": [mail, {"channel": "sms"} | (second or {})]}


def test_a_plain_request_is_the_plan_it_always_was() -> None:
    assert made({"to": TO, "text": "hi"}).plan is ONE_SMS


def test_a_cascade_becomes_steps_with_their_own_recipients_and_words() -> None:
    content = {"html": "<p>hello</p>", "unsubscribe": {"url": "https://x.example/u"}}
    message = made(
        two({"content": content, "to": "A@EXAMPLE.net"}, {"wait": 30, "success": "sent"})
    )
    assert message.plan == Plan(
        (
            Step(
                "email",
                to="A@example.net",
                wait_s=10.0,
                content=Content(
                    subject="hello",
                    html="<p>hello</p>",
                    unsubscribe=Unsubscribe("https://x.example/u"),
                ),
            ),
            Step("sms", wait_s=30.0, success="sent"),
        )
    )
    assert (message.to, message.text, message.segments) == (TO, "hello", 1)


def test_a_step_without_a_wait_has_the_default_and_the_last_waits_till_the_end() -> None:
    body = two()
    del body["cascade"][0]["wait"]
    assert [step.wait_s for step in made(body).plan.steps] == [300.0, None]


def test_steps_may_bring_all_a_message_says_itself() -> None:
    steps = [
        {"channel": "email", "to": MAIL, "wait": 5, "content": {"text": "by mail", "subject": "S"}},
        {"channel": "sms", "to": TO, "content": {"text": "x" * 200}},
    ]
    message = made({"cascade": steps})
    assert (message.to, message.text, message.segments) == (MAIL, "by mail", 2)
    assert [step.to for step in message.plan.steps] == [None, TO]


def test_one_channel_is_a_plan_of_one_step() -> None:
    message = made({"channel": "email", "to": MAIL, "text": "hello " * 400, "subject": "S"})
    assert message.plan == Plan((Step("email", content=Content(subject="S")),))
    assert message.plan.is_direct


def test_terms_go_with_the_plan() -> None:
    cost = {"amount": "0.05", "currency": "EUR"}
    plan = made(two() | {"max_cost": cost, "timezone": "Europe/Berlin"}).plan
    assert (plan.max_cost, plan.timezone) == (Money("0.05", "EUR"), "Europe/Berlin")


def step_fault(step: int, name: str) -> str:
    return f"cascade[{step}].{name}"


@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        (two() | {"cascade": []}, "cascade", "must hold 1 to 10 steps, has 0"),
        (two() | {"cascade": [{"channel": "sms"}] * 11}, "cascade", "must hold 1 to 10 steps"),
        (two() | {"channel": "sms"}, "channel", "stands for a cascade of one step"),
        (two(second={"channel": "fax"}), step_fault(1, "channel"), "no such channel; known: sms"),
        (two(second={"channel": "push"}), step_fault(1, "channel"), "no carrier here serves push"),
        (two({"wait": 0}), step_fault(0, "wait"), "must be between 1 second and 7 days"),
        (two({"wait": "100d"}), step_fault(0, "wait"), "must be between 1 second and 7 days"),
        (two({"wait": "soon"}), step_fault(0, "wait"), "expected seconds as a number"),
        (two({"wait": []}), step_fault(0, "wait"), "Expected `float | str | null`"),
        (two({"wait": "2d"}), step_fault(0, "wait"), "is not shorter than the message's life"),
        (two({"wait_from": "birth"}), step_fault(0, "wait_from"), "Invalid enum value"),
        (two({"success": "seen"}), step_fault(0, "success"), "Invalid enum value"),
        (two(second={"success": "read"}), step_fault(1, "success"), "sms reports accepted, sent"),
        (two({"to": TO}), step_fault(0, "to"), "must be a mail address"),
        (two({"to": None}), step_fault(0, "to"), "required, because the message's own `to`"),
        (two() | {"to": None}, step_fault(1, "to"), "required"),
        (two(second={"to": "12"}), step_fault(1, "to"), "must be E.164"),
        (two(second={"route": "acme"}), step_fault(1, "route"), "no carrier of that name"),
        (two(second={"price": 1}), step_fault(1, "price"), "unknown field"),
        (
            two(second={"content": {"subject": "S"}}),
            step_fault(1, "content.subject"),
            "belongs to email",
        ),
        (
            two({"content": {"unsubscribe": {"url": "http://x.example"}}}),
            step_fault(0, "content.unsubscribe.url"),
            "must be an https link",
        ),
        (
            two(second={"content": {"text": "x" * 600}}),
            step_fault(1, "content.text"),
            "needs 4 segments, the limit is 3",
        ),
        (two() | {"text": None}, step_fault(0, "content.text"), "required"),
        ({"to": TO, "text": "hi", "subject": "S"}, "subject", "belongs to email, and no step"),
        (two() | {"subject": "a\nb"}, "subject", "must be one line"),
        (two() | {"subject": "a\x7fb"}, "subject", "must be one line"),
        (two() | {"subject": "S" * 256}, "subject", "Expected `str` of length <= 255"),
        (two({"content": {"subject": " "}}), step_fault(0, "content.subject"), "must not be empty"),
        (two({"content": {"html": "a\0"}}), step_fault(0, "content.html"), "must not hold"),
        (two() | {"html": ""}, "html", "must not be empty"),
        (two() | {"text": None, "html": "<p>"}, "html", "needs a text beside it"),
        (
            two({"content": {"html": "<p>"}}) | {"text": None},
            step_fault(0, "content.html"),
            "needs a text beside it",
        ),
        (
            two() | {"unsubscribe": {"url": "https://x.example/?a,b"}},
            "unsubscribe.url",
            "must be an https link",
        ),
        (
            two() | {"unsubscribe": {"url": "https://x.example/\0"}},
            "unsubscribe.url",
            "must be an https link",
        ),
        (two() | {"unsubscribe": {"url": "https://"}}, "unsubscribe.url", "must be an https link"),
        (two() | {"unsubscribe": {"url": "https://[x"}}, "unsubscribe.url", "must be an https"),
        (two() | {"unsubscribe": {}}, "unsubscribe.url", "required"),
        (
            two() | {"unsubscribe": {"url": "https://x.example", "mailto": "nobody"}},
            "unsubscribe.mailto",
            "must be a mail address",
        ),
        (two() | {"timezone": "Mars/Base"}, "timezone", "must be an IANA name"),
        (two() | {"timezone": "../etc/passwd"}, "timezone", "must be an IANA name"),
        (two() | {"timezone": "a\0b"}, "timezone", "must be an IANA name"),
        (two(second={"to": TO}) | {"to": "a b\0"}, "to", "must be E.164, a mail address or a"),
        (
            two() | {"max_cost": {"amount": "-1", "currency": "EUR"}},
            "max_cost.amount",
            "must be a decimal text above zero",
        ),
        *(
            (two() | {"max_cost": {"amount": "1", "currency": c}}, "max_cost.currency", "must be")
            for c in ("euro", "EUR\n", "")
        ),
        *(
            (two() | {"max_cost": {"amount": a, "currency": "EUR"}}, "max_cost.amount", "must be")
            for a in ("0", "0.00", "1e3", "1_0", " 1", "NaN", "", "1\0", "\u0661", "9" * 10)
        ),
        (two() | {"send_at": "2025-12-31T00:00:00Z"}, "send_at", "must lie ahead"),
        (two() | {"send_at": "2026-02-01T00:00:00Z"}, "send_at", "must lie ahead, by 30 days"),
        (
            two() | {"send_at": "2026-01-03T00:00:00Z", "expires_at": "2026-01-10T00:00:01Z"},
            "expires_at",
            "must lie ahead of send_at, by 7 days at most",
        ),
        (two() | {"send_at": "2026-01-02T00:00:00"}, "send_at", "must carry a time zone"),
        (
            two() | {"send_at": "2026-01-03T00:00:00Z", "expires_at": "2026-01-02T00:00:00Z"},
            "expires_at",
            "must lie ahead of send_at",
        ),
    ],
)
def test_each_fault_names_its_step_and_its_rule(
    body: dict[str, Any], field: str, rule: str
) -> None:
    found = refused(body)
    assert found[0] == field
    assert found[1].startswith(rule)


def test_a_wait_nobody_named_is_told_when_it_is_too_long() -> None:
    body = two({"wait": None}) | {"expires_at": "2026-01-01T12:04:00Z"}
    rule = "is 300 s where none is named, and is not shorter than the message's life of 240 s"
    field, said = refused(body)
    assert (field, said.startswith(rule)) == ("cascade[0].wait", True)


def test_all_waits_together_may_be_longer_than_the_life() -> None:
    body = two({"wait": "3m"}, {"wait": "3m"}) | {"expires_at": "2026-01-01T12:04:00Z"}
    assert [step.wait_s for step in made(body).plan.steps] == [180.0, 180.0]


def test_the_only_step_waits_till_the_end() -> None:
    body = {"to": TO, "text": "hi", "cascade": [{"channel": "sms", "wait": 30}]}
    assert made(body).plan is ONE_SMS
    assert refused(body | {"cascade": [{"channel": "sms", "wait": 0}]})[0] == "cascade[0].wait"


def test_a_step_with_a_text_of_its_own_does_without_the_html_of_the_message() -> None:
    whole = {"html": "<p>hello</p>", "subject": "S", "unsubscribe": {"url": "https://x.example"}}
    leave = Unsubscribe("https://x.example")
    step = made(two() | whole).plan.steps[0]
    assert step.content == Content(subject="S", html="<p>hello</p>", unsubscribe=leave)
    step = made(two({"content": {"text": "other"}}) | whole).plan.steps[0]
    assert step.content == Content(text="other", subject="S", unsubscribe=leave)
    step = made(two({"content": {"html": "<b>", "subject": "T"}}) | whole).plan.steps[0]
    assert step.content == Content(subject="T", html="<b>", unsubscribe=leave)


def test_the_words_of_all_steps_together_fit_the_belt() -> None:
    mails = [{"channel": "email", "to": MAIL, "wait": 60} for _ in range(5)]
    body = {"text": "hi", "html": "x" * 100_000, "cascade": mails}
    assert len(made(body).plan.steps) == 5
    field, rule = refused(body | {"html": "x" * 200_000})
    assert (field, rule.endswith("with the words of each step, the limit is 900000")) == (
        "body",
        True,
    )


def test_a_mail_goes_to_an_address_in_one_form() -> None:
    message = made({"channel": "email", "to": "A@EXAMPLE.net", "text": "hi"})
    assert (message.to, message.plan.steps[0].to) == ("A@example.net", None)


def test_what_no_carrier_serves_is_refused_also_for_one_plain_sms() -> None:
    rules = replace(RULES, plans=PlanRules())
    assert refused({"to": TO, "text": "hi"}, rules) == ("channel", "no carrier here serves sms")


def test_a_tenant_has_its_own_channels() -> None:
    rule = "this tenant may not use email; its channels: sms"
    assert refused(two(), tenant="small") == ("cascade[0].channel", rule)
    assert made({"to": TO, "text": "hi"}, tenant="small").plan is ONE_SMS


def test_a_cascade_without_an_engine_is_refused_and_one_step_is_not() -> None:
    rules = replace(RULES, plans=replace(PLANS, has_engine=False))
    assert refused(two(), rules)[0] == "cascade"
    assert made({"to": TO, "text": "hi", "cascade": [{"channel": "sms"}]}, rules).plan.is_direct


def test_the_most_specific_default_counts_and_what_does_not_fit_is_left_out() -> None:
    defaults = (
        CascadeDefault(steps="sms"),
        CascadeDefault(steps="sms:20s,sms", traffic="otp"),
        CascadeDefault(steps="sms:30s,sms", tenant="acme"),
        CascadeDefault(steps="email:5s,sms:40s,push,sms", tenant="acme", traffic="otp"),
    )
    rules = replace(RULES, plans=replace(PLANS, defaults=defaults))

    def waits(tenant: str, traffic: str) -> list[float | None]:
        body = {"to": TO, "text": "hi", "class": traffic}
        return [step.wait_s for step in made(body, rules, tenant).plan.steps]

    assert waits("acme", "otp") == [40.0, None]
    assert waits("acme", "marketing") == [30.0, None]
    assert waits("other", "otp") == [20.0, None]
    assert waits("other", "marketing") == [None]
    # nobody who named no step is blamed for one: these are left out, or last till the end
    assert waits("small", "otp") == [20.0, None]
    short = {"to": TO, "text": "hi", "class": "otp", "expires_at": "2026-01-01T12:00:10Z"}
    assert len(made(short, rules, "other").plan.steps) == 2
    mail = {"to": MAIL, "text": "hi", "class": "otp"}
    assert [step.channel for step in made(mail, rules).plan.steps] == ["email"]
    assert refused(mail, rules, "other")[0] == "to"
    explicit = {"to": TO, "text": "hi", "channel": "sms"}
    assert len(made(explicit, rules).plan.steps) == 1


def test_marketing_waits_for_the_end_of_the_recipients_night() -> None:
    rules = replace(RULES, quiet=QuietHours(time(12), time(15)))
    body = {"to": TO, "text": "hi", "class": "marketing"}
    message = made(body, rules)  # 13:00 in Copenhagen
    assert message.send_at == NOW + timedelta(hours=2)
    assert message.expires_at == NOW + timedelta(hours=26)
    assert made(body | {"class": "otp"}, rules).send_at is None
    late = made(body | {"send_at": "2026-01-01T15:00:00Z"}, rules)
    assert late.send_at == datetime(2026, 1, 1, 15, tzinfo=UTC)
    assert refused(body | {"expires_at": "2026-01-01T13:00:00Z"}, rules)[0] == "expires_at"
    tokyo = two({"wait": 60}) | {"class": "marketing", "timezone": "Asia/Tokyo"}
    assert made(tokyo, rules).send_at is None
    by_mail = {"channel": "email", "to": MAIL, "text": "hi", "class": "marketing"}
    assert made(by_mail, rules).send_at == datetime(2026, 1, 1, 15, tzinfo=UTC)  # nobody knows: UTC
    long = replace(rules, quiet=QuietHours(time(23), time(22)))
    everywhere = body | {"to": "+18005550100"}
    assert refused(everywhere, long)[0] == "timezone"
    assert made(everywhere | {"timezone": "Europe/Berlin"}, long).send_at is not None


def test_the_answer_tells_of_a_start_nobody_asked_for() -> None:
    rules = replace(RULES, quiet=QuietHours(time(12), time(15)))
    body = {"to": TO, "text": "hi", "class": "marketing"}
    moved = accepted_body(made(body, rules))
    assert moved["send_at"] == "2026-01-01T14:00:00.000000Z"
    assert moved["reason"]["code"] == "quiet_hours"
    asked = made(body | {"send_at": "2026-01-01T17:00:00+02:00"}, rules)
    kept = accepted_body(asked, asked.send_at)
    assert (kept["send_at"], "reason" in kept) == ("2026-01-01T15:00:00.000000Z", False)
    assert "send_at" not in accepted_body(made(body | {"class": "otp"}, rules))


def test_a_mail_without_a_subject_has_its_first_words() -> None:
    mail = {"channel": "email", "to": MAIL, "text": "\n Hello you\nand\x7f more"}
    content = made(mail).plan.steps[0].content
    assert content is not None
    assert content.subject == "Hello you and more"

"""What replies ask for: a table of what relays and receivers say.

The texts are the forms that providers document or that are quoted in public forums; names and
numbers in them are examples.
"""

from __future__ import annotations

import pytest

from hermes.adapters.bounce_rules_file import load_rules
from hermes.core.units import Reason
from hermes.mail.bounce_rule import BounceAction, BounceClass, Rules
from hermes.mail.outcome import Fate, fate_of, queue_id_of
from hermes.mail.reply import Reply, parse_reply
from hermes.mail.verdict import (
    PERMANENT,
    RETRY,
    THROTTLE,
    BadStatusMap,
    Classifier,
    RelayRetry,
    ReplyClass,
    classify_session,
    overrides_of,
    reason_of,
)

RULES = load_rules()
CLASSIFIER = Classifier(RULES)


def reply(text: str) -> Reply:
    found = parse_reply(text)
    assert found is not None
    return found


# class of the reply, label, action beyond the mail
TABLE = [
    ("250 2.0.0 Ok: queued as 1A2B", "accepted", "", None),
    ("251 user not local; will forward", "accepted", "", None),
    # throttles: the connection, the account, the volume
    ("421 4.3.2 Service shutting down", "throttle", "Uncategorized", "retry_later"),
    ("421 4.7.0 [TSS04] Messages temporarily deferred", "throttle", "RateLimited", "pause_domain"),
    ("421-4.7.28 Gmail has detected an unusual rate", "throttle", "RateLimited", "pause_domain"),
    ("450 4.7.1 Error: too much mail from 192.0.2.1", "throttle", "RateLimited", "pause_domain"),
    ("454 4.7.0 Throttling failure: Maximum sending rate exceeded.", "throttle", "RateLimited", ""),
    ("451 4.7.500 Server busy. (S77719)", "throttle", "PolicyRelated", "alert"),
    ("550 5.4.5 Daily user sending quota exceeded.", "throttle", "RateLimited", "pause_domain"),
    # greylisting is 4.7.1 too, and slows nobody down
    ("451 4.7.1 Greylisting in action, please come back later", "retry", "Greylisted", ""),
    ("450 4.2.0 <u@x.io>: Recipient address rejected: Greylisted", "retry", "Greylisted", ""),
    ("451 4.7.1 Please try again later", "retry", "Greylisted", "retry_later"),
    # for now
    ("451 4.3.0 Temporary lookup failure", "retry", "Uncategorized", "retry_later"),
    ("452 4.2.2 The recipient's inbox is out of storage space", "retry", "QuotaIssues", ""),
    ("450 4.1.1 <u@x.io>: unverified address", "retry", "InvalidRecipient", "retry_later"),
    ("451 4.4.1 no answer from host", "retry", "NoAnswerFromHost", "retry_later"),
    # for good: the recipient
    ("550 5.1.1 The email account does not exist.", "permanent", "InvalidRecipient", "suppress"),
    ("550 5.1.1 no", "permanent", "InvalidRecipient", "suppress"),
    ("550 No such user here", "permanent", "InvalidRecipient", "suppress"),
    ("554 delivery error: dd This user doesn't have a yahoo.com account (u@yahoo.com) [0]",
     "permanent", "InvalidRecipient", "suppress"),
    ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found by SMTP address lookup",
     "permanent", "InvalidRecipient", "suppress"),
    ("554 30 Sorry, your message cannot be delivered. This mailbox is disabled (554.30).",
     "permanent", "InactiveMailbox", "suppress"),
    ("550 5.2.1 The account that you tried to reach is disabled.", "permanent", "InactiveMailbox",
     "suppress"),
    ("556 5.1.10 Recipient address has a null MX", "permanent", "BadDomain", "suppress"),
    ("552 5.2.2 The account that you tried to reach is over quota", "permanent", "QuotaIssues",
     "retry_later"),
    # for good: the sender, its address, its mail
    ("554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org", "permanent", "SpamBlock",
     "pause_domain"),
    ("550 5.7.1 messages from [192.0.2.1] weren't sent: it is on our block list (S3150)",
     "permanent", "SpamBlock", "pause_domain"),
    ("550-5.7.26 Unauthenticated email is not accepted due to the domain's DMARC policy",
     "permanent", "AuthenticationFailed", "alert"),
    ("550 5.7.1 this message is likely unsolicited mail", "permanent", "PolicyRelated", "alert"),
    ("554 5.7.1 message identified as spam", "permanent", "SpamContent", "alert"),
    ("552 5.3.4 Message size exceeds fixed maximum message size", "permanent", "MessageTooLarge",
     "alert"),
    ("553 5.7.1 <a@b.io>: Sender address rejected: not owned by user x", "permanent",
     "InvalidSender", "alert"),
    ("550 5.4.1 Recipient address rejected: Access denied.", "permanent", "PolicyRelated", "alert"),
    ("550 nothing is known of this", "permanent", "Uncategorized", "retry_later"),
    # the account at the relay
    ("530 5.7.0 Authentication required", "config", "CredentialsRefused", "alert"),
    ("530 5.7.0 Must issue a STARTTLS command first", "config", "CredentialsRefused", "alert"),
    ("535 5.7.8 Error: authentication failed", "config", "CredentialsRefused", "alert"),
    ("554 5.7.1 <u@x.io>: Relay access denied", "config", "RelayDenied", "alert"),
    ("554 5.7.1 Your account has been suspended", "config", "CredentialsRefused", "alert"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "reply_class", "label", "action"), TABLE)
def test_a_reply_is_judged_by_its_text_and_its_codes(
    text: str, reply_class: str, label: str, action: str | None
) -> None:
    verdict = CLASSIFIER.judge(reply(text))
    assert (verdict.reply_class.value, verdict.label) == (reply_class, label)
    if action:
        assert verdict.action is BounceAction(action)


def test_codes_alone_judge_where_there_are_no_rules() -> None:
    bare = Classifier(Rules())
    found = {
        text: bare.judge(reply(text)).label
        for text in ("550 5.1.1 x", "552 5.2.2 x", "550 5.7.1 x", "554 5.6.9 x", "550 x")
    }
    assert list(found.values()) == [
        "InvalidRecipient",
        "QuotaIssues",
        "PolicyRelated",
        "ContentRelated",
        "Uncategorized",
    ]


def test_a_recipient_is_suppressed_by_a_final_refusal_alone() -> None:
    early = CLASSIFIER.judge(reply("450 4.1.1 unknown"))
    final = CLASSIFIER.judge(reply("550 5.1.1 unknown"))
    assert (early.bounce_class, early.action) == (BounceClass.HARD, BounceAction.RETRY_LATER)
    assert (final.bounce_class, final.action) == (BounceClass.HARD, BounceAction.SUPPRESS)


def test_a_relays_own_map_comes_first_and_the_longest_entry_of_it() -> None:
    overrides = overrides_of(
        {"550": "retry", "5.1.1": "throttle", "550 5.1.1": "permanent", "4.7.*": "config"}
    )
    own = Classifier(RULES, overrides)
    found = [
        own.judge(reply(text)).reply_class
        for text in ("550 5.1.1 x", "554 5.1.1 x", "550 x", "550 5.1.2 x", "450 4.7.9 x", "451 x")
    ]
    assert found == [
        ReplyClass.PERMANENT,
        ReplyClass.THROTTLE,
        ReplyClass.RETRY,
        ReplyClass.RETRY,
        ReplyClass.CONFIG,
        ReplyClass.RETRY,
    ]


@pytest.mark.parametrize(
    ("status_map", "why"),
    [
        ({"250": "retry"}, "no reply code, enhanced code or both"),
        ({"5.1": "retry"}, "no reply code, enhanced code or both"),
        ({"55x": "retry"}, "no reply code, enhanced code or both"),
        ({"550": "later"}, "'later' is none of retry, permanent, throttle, config"),
    ],
)
def test_a_bad_entry_of_a_map_is_refused(status_map: dict[str, str], why: str) -> None:
    with pytest.raises(BadStatusMap) as caught:
        overrides_of(status_map)
    assert caught.value.why == why


def test_a_reason_has_the_codes_and_a_text_without_addresses() -> None:
    assert reason_of(reply("550 5.1.1 <u@x.io>: unknown"), "InvalidRecipient") == Reason(
        "smtp_550_5.1.1", "InvalidRecipient: (address): unknown"
    )
    assert reason_of(reply("450 no")) == Reason("smtp_450", "no")


FATES = [
    ("250 2.0.0 Ok: queued as 4Xy", 0, Fate("sent", Reason("smtp_250_2.0.0", "Ok: queued as 4Xy"),
                                          queue_id="4Xy")),
    ("421 bye", 9, Fate("again", Reason("smtp_421", "Uncategorized: bye"), THROTTLE.delay)),
    ("451 no", 0, Fate("deferred", Reason("smtp_451", "Uncategorized: no"), RETRY.delay)),
    ("451 no", RETRY.retries, Fate("failed", Reason("smtp_451", "Uncategorized: no"))),
    ("550 no", 0, Fate("failed", Reason("smtp_550", "Uncategorized: no"))),
    ("530 no", 99, Fate("deferred", Reason("smtp_530", "Uncategorized: no"), 60.0)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "n", "fate"), FATES)
def test_an_answered_mail_has_a_fate(text: str, n: int, fate: Fate) -> None:
    answer = reply(text)
    assert fate_of(answer, CLASSIFIER.judge(answer), n) == fate


QUEUE_IDS = [
    ("250 2.0.0 Ok: queued as 4XyZ1a2b3c", "4XyZ1a2b3c"),  # Postfix
    ("250 OK id=1tp2Xy-000abc-0q", "1tp2Xy-000abc-0q"),  # Exim
    ("250 Ok 0102017f-abc-000000", "0102017f-abc-000000"),  # SES
    ("250 Message accepted", None),
    ("250 ok", None),
]


@pytest.mark.parametrize(("text", "queue_id"), QUEUE_IDS)
def test_the_relays_own_name_for_a_mail_is_kept(text: str, queue_id: str | None) -> None:
    assert queue_id_of(reply(text)) == queue_id


def test_a_refused_session_is_tried_again_by_who_has_to_act() -> None:
    found = [
        classify_session(None if text is None else reply(text))
        for text in ("535 5.7.8 no", "530 no", None, "421 busy", "454 not now", "554 no service")
    ]
    assert found == [
        RelayRetry.CREDENTIALS,
        RelayRetry.CREDENTIALS,
        RelayRetry.CREDENTIALS,
        RelayRetry.BUSY,
        RelayRetry.BUSY,
        RelayRetry.NORMAL,
    ]


def test_the_rules_of_the_classes_are_those_of_the_tables() -> None:
    assert (PERMANENT.retries, RETRY.retries > 0, THROTTLE.delay > 0) == (0, True, True)

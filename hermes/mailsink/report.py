"""The reports a sink sends back: RFC 3464 of a delivery, RFC 5965 of a complaint."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from hermes.mail.message import Mail
from hermes.mail.reply import Reply
from hermes.mailsink.behaviour import ReportKind

_ACTIONS = {"delivered": "delivered", "failed": "failed", "delayed": "delayed"}
_SUBJECTS = {
    "delivered": "Successful Mail Delivery Report",
    "failed": "Undelivered Mail Returned to Sender",
    "delayed": "Delayed Mail (still being retried)",
    "complaint": "complaint about a message",
}


@dataclass(frozen=True, slots=True)
class Returned:
    """The mail a report is about: its envelope and its octets."""

    sender: str
    recipient: str
    envelope_id: str
    content: bytes


def is_wanted(kind: ReportKind, notify: str | None) -> bool:
    """Say whether NOTIFY asks for a report (RFC 3461, 4.1); without it failures are told."""
    if kind == "complaint":
        return True
    wanted = {"delivered": "SUCCESS", "failed": "FAILURE", "delayed": "DELAY"}[kind]
    return wanted in (("FAILURE", "DELAY") if notify is None else notify.upper().split(","))


def make_report(
    kind: ReportKind, returned: Returned, reply: Reply, name: str, number: int, at: datetime
) -> Mail:
    """Make the mail that goes to the sender of another, from the null path; `name` is ours."""
    boundary = f"=_mailsink_{number}"
    machine = _feedback(returned) if kind == "complaint" else _status(kind, returned, reply, name)
    headers = returned.content.partition(b"\r\n\r\n")[0] + b"\r\n"
    report_type = "feedback-report" if kind == "complaint" else "delivery-status"
    subtype = "feedback-report" if kind == "complaint" else "delivery-status"
    head = (
        f"From: Mail Delivery System <MAILER-DAEMON@{name}>\r\n"
        f"To: {returned.sender}\r\n"
        f"Subject: {_SUBJECTS[kind]}\r\n"
        f"Date: {format_datetime(at.astimezone(UTC))}\r\n"
        f"Message-ID: <report.{number}@{name}>\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        f"Content-Type: multipart/report; report-type={report_type};\r\n"
        f' boundary="{boundary}"\r\n\r\n'
        f"--{boundary}\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
        f"This is a simulated relay. {_SUBJECTS[kind]}.\r\n\r\n"
        f"--{boundary}\r\n"
        f"Content-Type: message/{subtype}\r\n\r\n"
        f"{machine}\r\n"
        f"--{boundary}\r\n"
        "Content-Type: text/rfc822-headers\r\n\r\n"
    )
    content = head.encode("ascii", "replace") + headers + f"\r\n--{boundary}--\r\n".encode("ascii")
    return Mail("", returned.sender, content, notify=())


def _status(kind: ReportKind, returned: Returned, reply: Reply, name: str) -> str:
    envelope = f"Original-Envelope-Id: {returned.envelope_id}\r\n" if returned.envelope_id else ""
    return (
        f"Reporting-MTA: dns; {name}\r\n{envelope}\r\n"
        f"Original-Recipient: rfc822;{returned.recipient}\r\n"
        f"Final-Recipient: rfc822; {returned.recipient}\r\n"
        f"Action: {_ACTIONS[kind]}\r\n"
        f"Status: {reply.enhanced or '2.0.0'}\r\n"
        f"Remote-MTA: dns; mx.{name}\r\n"
        f"Diagnostic-Code: smtp; {reply.line}\r\n"
    )


def _feedback(returned: Returned) -> str:
    return (
        "Feedback-Type: abuse\r\n"
        "User-Agent: mailsink/1\r\n"
        "Version: 1\r\n"
        f"Original-Mail-From: <{returned.sender}>\r\n"
        f"Original-Rcpt-To: <{returned.recipient}>\r\n"
    )

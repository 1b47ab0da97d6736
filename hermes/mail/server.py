"""One session as an SMTP server: octets and time in, replies and questions out (RFC 5321)."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Final

from hermes.mail.envelope import read_xtext
from hermes.mail.reply import Reply, encode_reply
from hermes.mail.server_auth import AuthExchange
from hermes.mail.server_effect import (
    Ask,
    AskContent,
    AskRecipient,
    AskSender,
    End,
    Question,
    Recipient,
    Send,
    ServerEffect,
    ServerPolicy,
    StartTls,
    Transaction,
)

MAX_HELD: Final = 1 << 18
"""Octets a client may send ahead while its last question is open."""

_PATH: Final = re.compile(
    r"\s*<(?:@[^:>]*:)?((?:\"[^\"]*\"|[^<>\"])*)>\s*(.*)", re.ASCII | re.DOTALL
)
_END: Final = b"\r\n.\r\n"

OK: Final = Reply(250, ("2.0.0 ok",))
GO_ON: Final = Reply(354, ("end with a dot on a line of its own",))
BYE: Final = Reply(221, ("2.0.0 bye",))
SLOW: Final = Reply(421, ("4.4.2 the time is over",))
UNKNOWN: Final = Reply(500, ("5.5.1 unknown command",))
TOO_LONG: Final = Reply(500, ("5.5.2 the line is too long",))
SYNTAX: Final = Reply(501, ("5.5.4 syntax",))
SEQUENCE: Final = Reply(503, ("5.5.1 not at this point",))
TOO_LARGE: Final = Reply(552, ("5.3.4 the message is too large",))
LONG_LINES: Final = Reply(554, ("5.6.0 a line of the message is too long",))
TOO_MANY: Final = Reply(452, ("4.5.3 too many recipients",))
ENOUGH: Final = Reply(421, ("4.7.0 enough messages for one session",))
ERRORS: Final = Reply(421, ("4.7.0 too many errors",))
LOCKED: Final = Reply(530, ("5.7.0 authentication required",))


class ServerSession:
    """From the open connection to its end; what goes into a mail is judged by the shell.

    Times are monotonic seconds. The end of a message is CRLF, dot, CRLF and nothing else: a bare
    LF never ends one.
    """

    def __init__(self, policy: ServerPolicy, now: float) -> None:
        self.policy = policy
        self.is_closed = False
        self.next_deadline = now + policy.command_timeout
        self._ends_at = now + policy.session_timeout
        self._buffer = bytearray()
        self._name = ""
        self._is_secure = self._is_shaking = False
        self._auth: AuthExchange | None = None
        self._username: str | None = None
        self._mail: Transaction | None = None
        self._question: Question | None = None
        self._is_content = self._is_oversized = self._is_overlong = False
        self._searched = 0
        self._errors = self._messages = 0

    def greet(self) -> list[ServerEffect]:
        """Begin the session."""
        return [Send(encode_reply(Reply(220, (f"{self.policy.name} ESMTP",))))]

    def receive(self, data: bytes, now: float) -> list[ServerEffect]:
        """Take what came; any octets are fine."""
        if self.is_closed:
            return []
        self._buffer += data
        self.next_deadline = min(now + self.policy.command_timeout, self._ends_at)
        return self._work()

    def answer(self, reply: Reply, now: float) -> list[ServerEffect]:
        """Answer the question that is open, and go on with what came meanwhile."""
        question, self._question = self._question, None
        if question is None or self.is_closed:
            return []
        self.next_deadline = min(now + self.policy.command_timeout, self._ends_at)
        match question:
            case AskSender(transaction=transaction):
                if reply.is_positive:
                    self._mail = transaction
            case AskRecipient(transaction=transaction, recipient=recipient):
                if reply.is_positive:
                    recipients = (*transaction.recipients, recipient)
                    self._mail = replace(transaction, recipients=recipients)
            case AskContent():
                self._mail = None
        return self._say(reply) + self._work()

    def secured(self, now: float) -> list[ServerEffect]:
        """The TLS handshake is done; what was said before counts no more (RFC 3207, 4.2)."""
        self._is_secure, self._is_shaking = True, False
        self._name, self._mail, self._username = "", None, None
        self._buffer.clear()
        self.next_deadline = min(now + self.policy.command_timeout, self._ends_at)
        return []

    def tick(self, now: float) -> list[ServerEffect]:
        """End a session that took too long; a question that is open holds it."""
        if self.is_closed or now < self.next_deadline:
            return []
        if self._question is not None and now < self._ends_at:
            self.next_deadline = self._ends_at
            return []
        return self._end("no TLS handshake") if self._is_shaking else self._leave(SLOW)

    # ------------------------------------------------------------------ lines

    def _work(self) -> list[ServerEffect]:
        effects: list[ServerEffect] = []
        while self._question is None and not self._is_shaking and not self.is_closed:
            step = self._take_content() if self._is_content else self._take_line()
            if step is None:
                break
            effects += step
        if self._question is not None and len(self._buffer) > MAX_HELD and not self.is_closed:
            effects += self._end("too much sent ahead")
        return effects

    def _take_line(self) -> list[ServerEffect] | None:
        end = self._buffer.find(b"\n")
        if end < 0:
            if len(self._buffer) > self.policy.max_command:
                self._is_overlong = True
                self._buffer.clear()
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        is_overlong, self._is_overlong = self._is_overlong, False
        if is_overlong or len(line) > self.policy.max_command:
            return self._say(TOO_LONG)
        text = line.removesuffix(b"\r").decode("utf-8", "replace")
        if self._auth is not None:
            return self._hear_auth(self._auth, self._auth.hear(text.strip()))
        verb, _, rest = text.strip(" ").partition(" ")
        return self._obey(verb.upper(), rest.strip(" "))

    def _take_content(self) -> list[ServerEffect] | None:
        """Look for the end of the message; what is too large is thrown away and refused at it."""
        buffer = self._buffer
        if buffer.startswith(b".\r\n") and not self._is_oversized:
            content, end = b"", 3
        else:
            found = buffer.find(_END, self._searched)
            if found < 0:
                if len(buffer) > self.policy.max_size + len(_END):
                    self._is_oversized = True
                    del buffer[: -len(_END)]
                self._searched = max(0, len(buffer) - len(_END) + 1)
                return None
            content, end = bytes(buffer[: found + 2]), found + len(_END)
        del buffer[:end]
        oversized = self._is_oversized or len(content) > self.policy.max_size
        self._is_content = self._is_oversized = False
        self._searched = 0
        mail, self._mail = self._mail, None
        assert mail is not None
        if oversized:
            return self._say(TOO_LARGE)
        if max(map(len, content.split(b"\n"))) > self.policy.max_line:
            return self._say(LONG_LINES)
        self._messages += 1
        return self._ask(AskContent(mail, _undotted(content)))

    # ------------------------------------------------------------------ commands

    def _obey(self, verb: str, rest: str) -> list[ServerEffect]:
        match verb:
            case "EHLO" | "HELO":
                return self._hello(verb, rest)
            case "NOOP":
                return self._say(OK)
            case "RSET":
                self._mail = None
                return self._say(OK)
            case "QUIT":
                return self._leave(BYE)
            case "VRFY":
                return self._say(Reply(252, ("2.5.2 send some mail, it will be tried",)))
            case "STARTTLS" if self.policy.starttls:
                return self._starttls(rest)
            case "AUTH" if self.policy.has_auth:
                if not self._name or self._username is not None or self._mail is not None:
                    return self._say(SEQUENCE)
                mechanism, _, initial = rest.partition(" ")
                exchange = AuthExchange(self.policy)
                return self._hear_auth(exchange, exchange.begin(mechanism, initial))
            case "MAIL" | "RCPT" | "DATA":
                return self._mail_command(verb, rest)
            case _:
                return self._say(UNKNOWN)

    def _hello(self, verb: str, name: str) -> list[ServerEffect]:
        if not name:
            return self._say(SYNTAX)
        self._name, self._mail = name, None
        policy = self.policy
        if verb == "HELO":
            return self._say(Reply(250, (policy.name,)))
        offers = {
            "PIPELINING": policy.pipelining,
            f"SIZE {policy.max_size}": True,
            "8BITMIME": True,
            "ENHANCEDSTATUSCODES": True,
            "DSN": policy.dsn,
            "STARTTLS": policy.starttls and not self._is_secure,
            "AUTH PLAIN LOGIN": policy.has_auth,
        }
        words = (word for word, is_offered in offers.items() if is_offered)
        return self._say(Reply(250, (policy.name, *words)))

    def _starttls(self, rest: str) -> list[ServerEffect]:
        if rest:
            return self._say(SYNTAX)
        if self._is_secure or not self._name:
            return self._say(SEQUENCE)
        if self._buffer:  # what waits here would be taken for what comes over TLS
            return self._leave(Reply(421, ("4.5.1 text after STARTTLS",)))
        self._is_shaking = True
        return [*self._say(Reply(220, ("2.0.0 go ahead",))), StartTls()]

    def _hear_auth(self, exchange: AuthExchange, reply: Reply) -> list[ServerEffect]:
        self._auth = exchange if exchange.is_open else None
        if exchange.username is not None:
            self._username = exchange.username
        return self._say(reply)

    def _mail_command(self, verb: str, rest: str) -> list[ServerEffect]:
        is_begun = self._mail is not None
        if not self._name or is_begun == (verb == "MAIL"):
            return self._say(SEQUENCE)
        if self.policy.has_auth and self._username is None:
            return self._say(LOCKED)
        if verb == "DATA":
            return self._begin_content(rest)
        word, colon, path = rest.partition(":")
        parsed = _PATH.fullmatch(path)
        wanted = "FROM" if verb == "MAIL" else "TO"
        if word.strip().upper() != wanted or not colon or parsed is None:
            return self._say(SYNTAX)
        address, parameters = parsed[1], _parameters(parsed[2])
        if self._mail is None:
            if self._messages >= self.policy.max_messages:
                return self._leave(ENOUGH)
            size = parameters.get("SIZE", "")
            if size.isdecimal() and len(size) < 20 and int(size) > self.policy.max_size:
                return self._say(TOO_LARGE)
            begun = Transaction(address, parameters, (), self._username, self._is_secure)
            return self._ask(AskSender(begun))
        if not address:
            return self._say(SYNTAX)
        if len(self._mail.recipients) >= self.policy.max_recipients:
            return self._say(TOO_MANY)
        return self._ask(AskRecipient(self._mail, Recipient(address, parameters)))

    def _begin_content(self, rest: str) -> list[ServerEffect]:
        if rest:
            return self._say(SYNTAX)
        if self._mail is None or not self._mail.recipients:
            return self._say(Reply(554, ("5.5.1 no valid recipients",)))
        self._is_content = True
        return self._say(GO_ON)

    # ------------------------------------------------------------------ replies and the end

    def _ask(self, question: Question) -> list[ServerEffect]:
        self._question = question
        return [Ask(question)]

    def _say(self, reply: Reply) -> list[ServerEffect]:
        if reply.code == 421:
            return self._leave(reply)
        if reply.is_refusal:
            self._errors += 1
            if self._errors > self.policy.max_errors:
                return self._leave(ERRORS)
        return [Send(encode_reply(reply))]

    def _leave(self, reply: Reply) -> list[ServerEffect]:
        return [Send(encode_reply(reply)), *self._end(reply.line)]

    def _end(self, reason: str) -> list[ServerEffect]:
        self.is_closed = True
        self.next_deadline = math.inf
        self._buffer.clear()
        return [End(reason)]


def _parameters(text: str) -> dict[str, str]:
    """Read `NAME=value NAME` of MAIL and RCPT; values are decoded from xtext where they are."""
    parts = (word.partition("=") for word in text.split())
    return {name.upper(): read_xtext(value) for name, _, value in parts}


def _undotted(content: bytes) -> bytes:
    """Take the first dot off every line that begins with one (RFC 5321, 4.5.2)."""
    undotted = content.replace(b"\r\n.", b"\r\n")
    return undotted[1:] if undotted.startswith(b".") else undotted

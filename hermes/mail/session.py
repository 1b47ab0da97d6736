"""One session as an SMTP client: octets and time in, effects out, one outcome for every mail."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from hermes.mail.envelope import commands_of, wire_content
from hermes.mail.hello import MECHANISMS, Account, Extensions, auth_exchange, read_extensions
from hermes.mail.message import Mail
from hermes.mail.reply import BadReply, Reply, ReplyReader
from hermes.mail.session_effect import (
    Answered,
    Effect,
    End,
    Free,
    NotSent,
    Opened,
    Outcome,
    Refuse,
    Send,
    Settle,
    Stage,
    StartTls,
    Uncertain,
)
from hermes.mail.session_table import OPENING, TRANSITIONS, SessionState, Step, Timers

S = SessionState
_QUIT: Final = Send(b"QUIT\r\n")
_CLEAR_TEXT: Final = "text in the clear after the reply to STARTTLS"
_STAGES: Final = {
    S.GREETING: Stage.CONNECT,
    S.EHLO: Stage.EHLO,
    S.HELO: Stage.EHLO,
    S.STARTTLS: Stage.STARTTLS,
    S.HANDSHAKE: Stage.STARTTLS,
    S.AUTH: Stage.AUTH,
}


class Session:
    """From the open connection to its end. Times are monotonic seconds.

    A session that the server, or our own rules, refuse says Refuse before its End; one that is
    lost before it opened says End alone.

    `max_messages` mails go through one session, 0 for any number. With security "implicit" the
    connection is TLS before the session begins.
    """

    def __init__(self, account: Account, timers: Timers, max_messages: int = 0) -> None:
        self.state = SessionState.GREETING
        self.extensions = Extensions()
        self.next_deadline = math.inf
        self._account, self._timers, self._max = account, timers, max_messages
        self._reader = ReplyReader()
        self._is_secure = account.security == "implicit"
        self._answers: list[bytes] = []
        self._mail: Mail | None = None
        self._commands: deque[tuple[Stage, bytes]] = deque()
        self._awaited: deque[Stage] = deque()
        self._refusal: Answered | None = None
        self._count = 0
        self._is_leaving = False

    @property
    def is_free(self) -> bool:
        """Whether a mail may be submitted."""
        return self.state is S.IDLE

    def begin(self, now: float) -> list[Effect]:
        """Wait for the greeting on an open connection."""
        self._arm(now)
        return []

    def secured(self, now: float) -> list[Effect]:
        """The TLS handshake is done: everything the server offered before is forgotten."""
        if self.state is not S.HANDSHAKE:
            return []
        self._is_secure = True
        self.extensions = Extensions()
        return self._say_hello(now)

    def submit(self, mail: Mail, now: float) -> list[Effect]:
        """Send a mail; one Settle follows, now or later. Only while `is_free`."""
        if self.state is not S.IDLE:
            raise ValueError(f"a mail in state {self.state.name}")
        limit = self.extensions.size
        if limit is not None and len(mail.content) > limit:
            why = f"5.3.4 the message has {len(mail.content)} octets, the relay takes {limit}"
            return [Settle(Answered(Reply(552, (why,)), Stage.SIZE)), Free()]
        self._mail, self._refusal = mail, None
        self._count += 1
        self._commands = deque(commands_of(mail, self.extensions))
        self._move(Step.MAIL, now)
        return self._send_commands()

    def quit(self, now: float) -> list[Effect]:
        """End in order: now if free, after the mail in hand, at once if not open yet."""
        self._is_leaving = True
        if self.state is S.IDLE:
            self._move(Step.QUIT, now)
            return [_QUIT]
        if self.state in OPENING:
            return self._close(Step.END, "drained", is_orderly=True)
        return []

    def lost(self, reason: str) -> list[Effect]:
        """The connection is gone."""
        return self._fail(reason)

    def tick(self, now: float) -> list[Effect]:
        """Do what is due: leave an idle session, give up a wait."""
        if now < self.next_deadline:
            return []
        if self.state is S.IDLE:
            self._is_leaving = True
            self._move(Step.QUIT, now)
            return [_QUIT]
        waited = self._timers.of(self.state)
        if self.state is S.QUITTING:
            return self._fail("")
        return self._fail(f"no reply within {waited:g} s in state {self.state.name.lower()}")

    def receive(self, data: bytes, now: float) -> list[Effect]:
        """Take what came; any octets are fine, those that are no replies end the session."""
        if self.state is S.CLOSED:
            return []
        fault: BadReply | None = None
        try:
            replies = self._reader.feed(data)
        except BadReply as error:
            replies, fault = error.replies, error
        effects: list[Effect] = []
        for place, reply in enumerate(replies):
            effects += self._hear(reply, now)
            if self.state is S.HANDSHAKE and (place + 1 < len(replies) or self._reader.buffered):
                # whoever put it there wants it to be taken for what comes over TLS
                return effects + self._fail(_CLEAR_TEXT)
            if self._has_ended():
                return effects
        if fault is not None:
            effects += self._fail(str(fault))
        return effects

    def _has_ended(self) -> bool:
        return self.state is S.CLOSED

    def _hear(self, reply: Reply, now: float) -> list[Effect]:
        match self.state:
            case S.ENVELOPE:
                return self._hear_envelope(reply, now)
            case S.CONTENT:
                return self._hear_content(reply, now)
            case S.RESETTING:
                return self._freed(now) if reply.is_positive else self._fail(f"RSET: {reply.line}")
            case S.QUITTING:
                return self._fail("")
            case S.HANDSHAKE:
                return self._fail(_CLEAR_TEXT)
            case S.IDLE:
                # 421 is how a server leaves; anything else would be taken for a later reply
                is_orderly = reply.code == 421
                why = "the server leaves" if is_orderly else "a reply to nothing"
                return self._close(Step.END, f"{why}: {reply.line}", is_orderly=is_orderly)
            case _:
                return self._hear_opening(reply, now)

    # ------------------------------------------------------------------ until the session is open

    def _hear_opening(self, reply: Reply, now: float) -> list[Effect]:
        match self.state, reply.code:
            case S.GREETING, 220:
                return self._say_hello(now)
            case S.EHLO, 250:
                self.extensions = read_extensions(reply)
                return self._offered(now)
            case S.EHLO, code if code >= 500:
                if self._account.security == "starttls" and not self._is_secure:
                    return self._refuse("no EHLO, so no TLS", reply)
                if self._account.username is not None:
                    return self._refuse("no EHLO, so no authentication", reply)
                self._move(Step.HELO, now)
                return [Send(b"HELO %b\r\n" % self._account.name.encode("ascii"))]
            case (S.HELO, 250) | (S.AUTH, 235):
                return self._open(now)
            case S.STARTTLS, 220:
                self._move(Step.SECURE, now)
                return [StartTls()]
            case S.AUTH, 334 if self._answers:
                self._arm(now)
                return [Send(self._answers.pop(0))]
            case _:
                return self._refuse("refused", reply)

    def _say_hello(self, now: float) -> list[Effect]:
        self._move(Step.EHLO, now)
        return [Send(b"EHLO %b\r\n" % self._account.name.encode("ascii"))]

    def _offered(self, now: float) -> list[Effect]:
        """Go on by what the server offers: TLS, then authentication, then mail."""
        account, offered = self._account, self.extensions
        if account.security == "starttls" and not self._is_secure:
            if not offered.starttls:
                return self._refuse("no STARTTLS is offered")
            self._move(Step.STARTTLS, now)
            return [Send(b"STARTTLS\r\n")]
        if account.username is None:
            return self._open(now)
        if not self._is_secure and not account.clear_credentials:
            return self._refuse("credentials are not sent in the clear")
        mechanism = next((each for each in MECHANISMS if each in offered.auth), None)
        if mechanism is None:
            known = " ".join(offered.auth) or "nothing"
            return self._refuse(f"neither AUTH PLAIN nor LOGIN is offered, but {known}")
        command, self._answers = auth_exchange(account, mechanism)
        self._move(Step.AUTH, now)
        return [Send(command)]

    def _open(self, now: float) -> list[Effect]:
        self._move(Step.OPEN, now)
        return [Opened(self.extensions)]

    def _refuse(self, why: str, reply: Reply | None = None) -> list[Effect]:
        told = Refuse(_STAGES[self.state], why, reply)
        return [told, _QUIT, *self._close(Step.END, f"{why}: {reply.line}" if reply else why)]

    # ------------------------------------------------------------------ one mail

    def _send_commands(self) -> list[Effect]:
        """Write the next command, or all of them where the server takes them so (RFC 2920)."""
        if not self._commands:
            return []
        count = len(self._commands) if self.extensions.pipelining else 1
        taken = [self._commands.popleft() for _ in range(count)]
        self._awaited.extend(stage for stage, _ in taken)
        return [Send(b"".join(command for _, command in taken))]

    def _hear_envelope(self, reply: Reply, now: float) -> list[Effect]:
        stage = self._awaited.popleft()
        is_wanted = reply.code == 354 if stage is Stage.DATA else reply.is_positive
        if not is_wanted and not reply.is_refusal and self._refusal is None:
            return self._fail(f"{reply.code} is no reply to {stage.name}")
        if reply.code == 421:
            outcome = self._refusal or Answered(reply, stage)
            return [*self._settle(outcome), *self._fail(f"the server leaves: {reply.line}")]
        if reply.is_refusal and self._refusal is None and stage is not Stage.CONTENT:
            self._refusal = Answered(reply, stage)
            self._commands.clear()
        self._arm(now, self._timers.data if Stage.DATA in self._awaited else None)
        if stage is Stage.DATA and reply.code == 354:
            if self._refusal is None:
                return self._send_content(now)
            # it wants a message for nobody: the empty one, whose reply says nothing (RFC 2920, 3.1)
            self._awaited.append(Stage.CONTENT)
            return [Send(b".\r\n")]
        if self._refusal is None:
            return self._send_commands()
        if self._awaited:
            return []
        return [*self._settle(self._refusal), *self._reset(now)]

    def _send_content(self, now: float) -> list[Effect]:
        assert self._mail is not None
        self._move(Step.CONTENT, now)
        return [Send(wire_content(self._mail.content))]

    def _hear_content(self, reply: Reply, now: float) -> list[Effect]:
        if not reply.is_positive and not reply.is_refusal:
            return self._fail(f"{reply.code} is no reply to a message")
        effects = self._settle(Answered(reply, Stage.CONTENT))
        if reply.is_positive:
            return effects + self._freed(now)
        if reply.code == 421:
            return effects + self._fail(f"the server leaves: {reply.line}")
        return effects + self._reset(now)

    def _settle(self, outcome: Outcome) -> list[Effect]:
        self._mail = self._refusal = None
        return [Settle(outcome)]

    def _reset(self, now: float) -> list[Effect]:
        self._move(Step.RESET, now)
        return [Send(b"RSET\r\n")]

    def _freed(self, now: float) -> list[Effect]:
        self._move(Step.FREE, now)
        if self._is_leaving or (self._max and self._count >= self._max):
            return self.quit(now)
        return [Free()]

    # ------------------------------------------------------------------ the end

    def _fail(self, reason: str) -> list[Effect]:
        """End now: a mail in hand is not sent, or uncertain once its final dot was written."""
        effects: list[Effect] = []
        if self._mail is not None:
            lost = Uncertain(reason) if self.state is S.CONTENT else NotSent(reason)
            effects += self._settle(self._refusal or lost)
        is_orderly = self.state in (S.QUITTING, S.IDLE)
        return effects + self._close(Step.END, reason, is_orderly=is_orderly)

    def _close(self, step: Step, reason: str, *, is_orderly: bool = False) -> list[Effect]:
        if self.state is S.CLOSED:
            return []
        self.state = TRANSITIONS[self.state, step]
        self.next_deadline = math.inf
        return [End("drained" if self._is_leaving and is_orderly else reason, is_orderly)]

    def _move(self, step: Step, now: float) -> None:
        self.state = TRANSITIONS[self.state, step]
        self._arm(now)

    def _arm(self, now: float, seconds: float | None = None) -> None:
        self.next_deadline = now + (self._timers.of(self.state) if seconds is None else seconds)

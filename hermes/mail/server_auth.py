"""AUTH PLAIN and LOGIN on the server's side (RFC 4954, RFC 4616)."""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode

from hermes.mail.reply import Reply
from hermes.mail.server_effect import ServerPolicy

ASK_USER = Reply(334, ("VXNlcm5hbWU6",))
ASK_PASSWORD = Reply(334, ("UGFzc3dvcmQ6",))
ASK_PLAIN = Reply(334, ("",))
REFUSED = Reply(535, ("5.7.8 authentication credentials invalid",))
WELCOME = Reply(235, ("2.7.0 authentication succeeded",))
CANCELLED = Reply(501, ("5.7.0 authentication cancelled",))
UNREADABLE = Reply(501, ("5.5.2 no base64",))
UNKNOWN = Reply(504, ("5.5.4 the mechanism is none of PLAIN and LOGIN",))


class AuthExchange:
    """One AUTH command: `begin`, then `hear` each line while `is_open`; `username` when let in."""

    def __init__(self, policy: ServerPolicy) -> None:
        self._policy = policy
        self._mechanism = ""
        self._user: str | None = None
        self.is_open = False
        self.username: str | None = None

    def begin(self, mechanism: str, initial: str) -> Reply:
        """Answer the command itself."""
        self._mechanism = mechanism.upper()
        if self._mechanism not in ("PLAIN", "LOGIN"):
            return UNKNOWN
        self.is_open = True
        if initial:
            return self.hear("" if initial == "=" else initial)
        return ASK_PLAIN if self._mechanism == "PLAIN" else ASK_USER

    def hear(self, line: str) -> Reply:
        """Answer a line of the exchange."""
        if line == "*":
            self.is_open = False
            return CANCELLED
        try:
            text = b64decode(line, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            self.is_open = False
            return UNREADABLE
        if self._mechanism == "LOGIN":
            if self._user is None:
                self._user = text
                return ASK_PASSWORD
            return self._judge(self._user, text)
        _, _, rest = text.partition("\0")
        user, _, password = rest.partition("\0")
        return self._judge(user, password)

    def _judge(self, user: str, password: str) -> Reply:
        self.is_open = False
        wanted = self._policy.credentials
        if wanted is not None:
            given = f"{user}\0{password}".encode()
            if not hmac.compare_digest(given, f"{wanted[0]}\0{wanted[1]}".encode()):
                return REFUSED
        self.username = user
        return WELCOME

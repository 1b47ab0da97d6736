"""One mail relay account: consumer of its carrier stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.account_consumer import AccountConsumer
from actors.contract_rate import contract_of
from actors.event_sink import EventSink
from actors.outside import Outside
from actors.relay_session import RelayEars, RelaySession
from actors.relay_submits import RelaySubmits
from actors.stores import dead_letters_of, utc_now
from hermes.adapters.bounce_rules_file import load_rules
from hermes.adapters.claims_redis import RedisClaims
from hermes.adapters.rate_limits_redis import RedisRateLimits
from hermes.adapters.relay_pool import RelayPool
from hermes.adapters.relay_settings import relay_settings_of
from hermes.core.carrier import RelayAccount
from hermes.core.event import Source
from hermes.core.witness import Witness
from hermes.mail.address import parse_mailbox
from hermes.mail.job_mail import Composer
from hermes.mail.verdict import Classifier, overrides_of
from hermes.ports.relay import Relay
from hermes.settings.mail_secret import verp_of
from hermes.smpp.backoff import BackoffTimes

RELAY = "relay"


class RelayConsumer(AccountConsumer):
    """Its width are the connections that are busy or free; none while the relay is paused."""

    channel = "email"
    stopped = "relay.stopped"
    place = RELAY
    submits: RelaySubmits
    session: RelaySession

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        self.account: RelayAccount = self.args["relay"]

    async def on_begin(self) -> None:
        """Open the stores, then the relay, and subscribe in the background."""
        await self.open_stores()
        self.submits = self.make_submits()
        self.session = self.make_session()
        self.submits.judging.on_wrong = self.session.leave
        self.work(self.session.hold_forever())
        self.subscribe()

    def make_submits(self) -> RelaySubmits:
        """Make the outbound side over this host's stores."""
        wiring = self.wiring
        outside = Outside(
            RedisClaims(self.memory, round(wiring.settings.redis.settled_ttl)),
            self.leases,
            self.belt,
            EventSink(self.belt, f"{wiring.host}-{self.name}"),
            dead_letters_of(self.belt, wiring, self.metrics, self.log),
            utc_now,
            lambda: self.memory.made_at,
            self.metrics,
        )
        witness = Witness(Source(wiring.host, self.name, self.boot), self.carrier.id)
        composer = Composer(
            parse_mailbox(self.carrier.default_sender or ""), wiring.mail_domain, verp_of(wiring)
        )
        classifier = Classifier(load_rules(), overrides_of(self.carrier.status_map))
        submits = RelaySubmits(self.carrier, witness, self.me, outside, composer, classifier)
        submits.contract = contract_of(self.carrier, RedisRateLimits(self.memory))
        return submits

    def make_session(self) -> RelaySession:
        """Make what holds the account's connections."""
        smpp = self.wiring.settings.smpp
        settings = relay_settings_of(self.account, self.wiring.mail_domain, smpp)
        times = BackoffTimes(
            smpp.backoff_first, smpp.backoff_max, smpp.backoff_bound, smpp.backoff_refused
        )
        ears = RelayEars(self.on_open, self.on_closed, self.submits.wake_up)
        return RelaySession(lambda told: RelayPool(settings, told), times, ears, self.log)

    def width(self) -> int:
        """See `AccountConsumer.width`."""
        return 0 if self.is_paused() else self.submits.in_flight + self.submits.credit

    def is_paused(self) -> bool:
        """Say whether the relay takes nothing although it has room."""
        return self.submits.credit == 0 and self.submits.in_flight < self.account.connections

    def on_open(self, relay: Relay) -> None:
        """Mail may flow."""
        self.submits.relay = relay
        self.arrived("the relay is open")

    def on_closed(self) -> None:
        """This life of the relay ended."""
        self.left()
        self.submits.unlink()

    def describe(self) -> dict[str, Any]:
        """Say how the relay is."""
        submits, session = self.submits, self.session
        reason = session.reason or submits.out.sink.last_error or submits.judging.last_refusal
        return {
            "carrier": self.carrier.id,
            "relay": f"{self.account.host}:{self.account.port}",
            "state": session.state,
            "in_flight": submits.in_flight,
            "held": submits.held_count,
            "asked": self.asked(),
            "connections": self.account.connections,
            "rate": round(self.rate, 1),
            "accepted": submits.accepted_count,
            "reason": reason,
        }

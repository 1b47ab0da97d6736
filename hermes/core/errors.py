"""Error families by who must act: tenant, carrier, operator, or us."""


class HermesError(Exception):
    """Base of every error Hermes raises on purpose."""


class TenantError(HermesError):
    """The caller must change the request."""


class CarrierError(HermesError):
    """The carrier refused or failed; retry or reroute."""


class ConfigError(HermesError):
    """The operator must change the configuration or the machine."""


class HermesBug(HermesError):
    """An impossible state: ours to mend."""


class Unreadable(HermesError):
    """A stored value (job, event, claim, ledger row) that this version cannot understand."""

    def __init__(self, what: str, why: str) -> None:
        self.what, self.why = what, why
        super().__init__(f"{what} cannot be read: {why}")


class StoreUnavailable(HermesError):
    """PostgreSQL, Redis or NATS cannot be reached or did not answer in time; try again later."""

    def __init__(self, store: str, why: str) -> None:
        self.store, self.why = store, why
        super().__init__(f"{store} is unavailable: {why}")

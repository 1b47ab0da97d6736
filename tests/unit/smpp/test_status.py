"""Every command_status has a class, and a carrier may say otherwise."""

from __future__ import annotations

import pytest

from hermes.smpp.status import (
    RULES,
    UNLISTED,
    BindRetry,
    CommandStatus,
    StatusClass,
    classify,
    classify_bind,
    overrides_of,
    status_name,
)

CLASSES = [
    (CommandStatus.ESME_ROK, StatusClass.ACCEPTED),
    (CommandStatus.ESME_RTHROTTLED, StatusClass.THROTTLE),
    (CommandStatus.ESME_RMSGQFUL, StatusClass.THROTTLE),
    (CommandStatus.ESME_RSYSERR, StatusClass.RETRY),
    (CommandStatus.ESME_RX_T_APPN, StatusClass.RETRY),
    (CommandStatus.ESME_RSUBMITFAIL, StatusClass.RETRY),
    (CommandStatus.ESME_RSERTYPUNAVAIL, StatusClass.RETRY),
    (CommandStatus.ESME_RINVDSTADR, StatusClass.PERMANENT),
    (CommandStatus.ESME_RINVEXPIRY, StatusClass.PERMANENT),
    (CommandStatus.ESME_RINVBCASTCHANIND, StatusClass.PERMANENT),
    (CommandStatus.ESME_RINVCMDLEN, StatusClass.CONFIG),
    (CommandStatus.ESME_RINVBNDSTS, StatusClass.CONFIG),
    (CommandStatus.ESME_RINVPASWD, StatusClass.CONFIG),
    (0x400, StatusClass.RETRY),
    (0x0009, StatusClass.RETRY),
]


@pytest.mark.parametrize(("status", "expected"), CLASSES)
def test_a_status_has_its_class(status: int, expected: StatusClass) -> None:
    assert classify(status).status_class is expected


def test_every_listed_status_has_a_rule_of_its_own() -> None:
    assert {int(status) for status in CommandStatus} == set(RULES)


def test_an_unlisted_status_is_retried_once() -> None:
    assert classify(0x0401_0000) is UNLISTED
    assert UNLISTED.retries == 1


def test_a_queue_that_is_full_is_told_from_a_rate_that_is_too_high() -> None:
    assert classify(0x14).queue_full
    assert not classify(0x58).queue_full


def test_a_map_of_the_carrier_comes_first() -> None:
    own = overrides_of({"0x401": "throttle", "1026": "retry", "ESME_RINVDSTADR": "config"})
    assert classify(0x401, own).status_class is StatusClass.THROTTLE
    assert classify(1026, own).retries == 3
    assert classify(0x0B, own).status_class is StatusClass.CONFIG
    assert classify(0x0A, own) == classify(0x0A)


@pytest.mark.parametrize("own", [{"0x401": "later"}, {"RBUSY": "retry"}, {"1": "accepted"}])
def test_a_map_with_an_unknown_word_is_an_error(own: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"later|RBUSY|accepted"):
        overrides_of(own)


def test_a_refused_bind_waits_by_its_status() -> None:
    assert classify_bind(0x05) is BindRetry.OLD_SESSION
    assert {classify_bind(s) for s in (0x0D, 0x0E, 0x0F, 0x53)} == {BindRetry.CREDENTIALS}
    assert {classify_bind(s) for s in (0x08, 0x58, 0x40A)} == {BindRetry.NORMAL}


def test_an_unknown_status_is_named_by_its_number() -> None:
    assert (status_name(0x58), status_name(0x40A)) == ("ESME_RTHROTTLED", "0x0000040a")


def test_a_range_of_the_carrier_gives_way_to_a_single_status() -> None:
    own = overrides_of({"0x400-0x40f": "throttle", "0x405": "permanent"})
    classes = {status: classify(status, own).status_class for status in (0x400, 0x405, 0x40F)}
    assert classes == {
        0x400: StatusClass.THROTTLE,
        0x405: StatusClass.PERMANENT,
        0x40F: StatusClass.THROTTLE,
    }
    assert classify(0x410, own).status_class is StatusClass.RETRY
    with pytest.raises(ValueError, match="not 1 to 4096"):
        overrides_of({"0-0xffff": "retry"})

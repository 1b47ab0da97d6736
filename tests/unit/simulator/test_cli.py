"""Options of the command line."""

from __future__ import annotations

import pytest

from hermes.simulator.cli import main, parse
from hermes.simulator.profile import Account, Profile


def test_no_options_are_the_defaults() -> None:
    assert parse([]) == Profile()


def test_options_become_settings() -> None:
    argv = "--port 0 --control-port -1 --latency-ms 5 --tps 20 --account a:b:c --account d:"
    assert parse(argv.split()) == Profile(
        port=0,
        control_port=-1,
        latency_ms=5,
        tps=20,
        accounts=(Account("a", "b:c"), Account("d", "")),
    )


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ("--tps many", "simulator: --tps: expected `float`, got `str`\n"),
        ("--mix DELIVRD=5", "simulator: --mix: the shares add up to 5, not 100\n"),
        ("--account x", "simulator: --account: 'x' is not ID:PASSWORD\n"),
        ("--port 70000", "simulator: --port: expected `int` <= 65535\n"),
    ],
)
def test_a_wrong_option_ends_with_one_sentence(
    argv: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv.split()) == 64
    assert capsys.readouterr().err == sentence


def test_an_unknown_option_ends_with_the_same_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--nope"])
    assert exit_.value.code == 64
    assert capsys.readouterr().err == "simulator: unrecognized arguments: --nope\n"

"""Commands in this process, with the environment of a daemon, judged by exit code and sentence."""

from __future__ import annotations

import os
from dataclasses import replace

from typer.testing import CliRunner

from hermes.cli.main import app
from hermes.testing.daemon_process import DaemonProcess


def fails(daemon: DaemonProcess, code: int, *words: str, **env: str) -> str:
    """Run a command that ends with `code` and says one thing; give what it said."""
    environment = replace(daemon, env={**daemon.env, **env}).environment()
    foreign = {name: None for name in os.environ if name.startswith("HERMES_")}
    done = CliRunner().invoke(app, list(words), env={**foreign, **environment})
    assert done.exit_code == code, done.output
    return one_sentence(done.stderr)


def one_sentence(said: str) -> str:
    """Give what was said on stderr: one sentence, and perhaps its list."""
    first, *others = said.splitlines()
    assert first.startswith("hermes: ")
    assert all(line.startswith("  ") for line in others)
    return said

"""Rows take minutes and have deadlines of their own."""

from __future__ import annotations

import faulthandler

import pytest


@pytest.fixture(autouse=True)
def _no_traceback_dump() -> None:
    faulthandler.cancel_dump_traceback_later()

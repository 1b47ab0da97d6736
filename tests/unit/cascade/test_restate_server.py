"""The endpoint says what is wrong with how it was started."""

from __future__ import annotations

import socket

import pytest

from cascade.engines.process import find_steps
from cascade.engines.restate_server import Place, check_free
from hermes.core.errors import ConfigError


@pytest.mark.parametrize("name", ["", "cascade", "cascade:nothing", "no.such.module:f", ".x:y"])
def test_steps_that_do_not_exist_are_an_error(name: str) -> None:
    with pytest.raises(ConfigError, match="names nothing"):
        find_steps(name)


def test_a_port_somebody_listens_on_is_an_error_even_if_he_would_share_it() -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}"):
            check_free(Place("127.0.0.1", port))
    check_free(Place("127.0.0.1", port))

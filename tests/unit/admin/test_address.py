"""A listener on every address is reached by loopback, and IPv6 stands in brackets."""

from __future__ import annotations

import pytest

from hermes.admin.address import url_of


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("2001:db8::1", "http://[2001:db8::1]:80"),
        ("hermes.example", "http://hermes.example:80"),
    ],
)
def test_a_url_leads_to_the_listener(host: str, url: str) -> None:
    assert url_of(host, 80) == url

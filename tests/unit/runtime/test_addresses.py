"""Where a webhook may point. Addresses are given as numbers: unit tests ask no name server."""

from __future__ import annotations

import pytest

from services.runtime.addresses import AddressRefused, Destination, destination

NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/hook",
        "https://10.0.0.8/hook",
        "https://192.168.1.1/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://[::1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[2002:7f00:1::]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://224.0.0.1/",
        "http://93.184.216.34/",
        "ftp://93.184.216.34/",
        "https:///nohost",
        "https://user:word@93.184.216.34/",
        "https://93.184.216.34:99999/",
        "not a url",
        "",
    ],
)
def test_private_plain_and_malformed_addresses_are_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        destination(url, NONE)


def test_a_public_https_address_is_taken() -> None:
    taken = destination("https://93.184.216.34/services/T0/B0?x=1", NONE)
    assert taken == Destination("https", "93.184.216.34", ("93.184.216.34",), 443, "/services/T0/B0?x=1")


def test_an_allowed_host_may_be_private_and_plain() -> None:
    assert destination("http://127.0.0.1:9999/hook", frozenset({"127.0.0.1"})).port == 9_999
    assert destination("http://127.0.0.1/hook", None).port == 80
    with pytest.raises(AddressRefused):
        destination("http://127.0.0.2/hook", frozenset({"127.0.0.1"}))


def test_the_reason_does_not_give_the_address_away() -> None:
    with pytest.raises(AddressRefused) as refused:
        destination("https://10.0.0.8/services/T0/secret", NONE)
    assert "secret" not in str(refused.value)

from __future__ import annotations

import pytest

from services.cli.client import Address, Unreachable
from services.cli.system import address_from_environment

ALL = {
    "SPENDSTREAM_URL": "http://q:8000/",
    "SPENDSTREAM_GATEWAY_URL": "http://g:8080",
    "SPENDSTREAM_ADMIN_KEY": "sps_x",
}


def test_the_environment_names_a_spendstream_completely_or_not_at_all() -> None:
    assert address_from_environment(ALL) == Address("http://q:8000", "http://g:8080", "sps_x")
    assert address_from_environment({}) is None


def test_a_key_alone_is_a_setting_of_up_and_names_none() -> None:
    assert address_from_environment({"SPENDSTREAM_ADMIN_KEY": "sps_x"}) is None


@pytest.mark.parametrize("missing", sorted(ALL))
def test_what_is_missing_is_named(missing: str) -> None:
    with pytest.raises(Unreachable, match=f"^{missing} isn't set"):
        address_from_environment({name: value for name, value in ALL.items() if name != missing})

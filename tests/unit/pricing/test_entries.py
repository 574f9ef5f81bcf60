"""Which entry an event takes: by name, by rule, by date, by service tier."""

from datetime import UTC, datetime

import pytest

from pricing.book import read_book
from pricing.kernel import PriceResult, price_event
from tests.unit.pricing.book_texts import RIGHT

BOOK = read_book(RIGHT)


def micros(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


NOW = micros("2026-11-22T12:00:00")


def price(
    usage: dict[str, int], model: str = "big", at: int = NOW, provider: str = "openai", **more: str
) -> PriceResult:
    return price_event(BOOK, usage, provider=provider, model=model, occurred_at_us=at, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "entry_id"),
    [
        ("big", "openai/big@2026-01-01T16:00:00Z"),
        ("big-2026-01-01", "openai/big@2026-01-01T16:00:00Z"),
        ("big-2027-01-01", "openai/big@2026-01-01T16:00:00Z"),
        ("big-mini-preview", "openai/small@2025-01-01"),
        ("small", "openai/small@2025-01-01"),
        ("BIG", ""),
        ("bigger", ""),
        ("small-2026", ""),
        ("", ""),
    ],
)
def test_a_name_is_matched_exactly_then_by_rules_in_their_order(model: str, entry_id: str) -> None:
    assert price({"input_uncached": 1}, model).entry_id == entry_id


def test_a_provider_may_go_by_another_name() -> None:
    assert price({"input_uncached": 1}, provider="azure") == price({"input_uncached": 1})
    assert price({"input_uncached": 1}, provider="azur").unpriced_reason == "no provider 'azur'"


@pytest.mark.parametrize(
    ("at", "cost"),
    [
        ("2024-12-31T23:59:59", None),
        ("2025-01-01T00:00:00", 10_000_000),
        ("2025-06-30T23:59:59", 10_000_000),
        ("2025-07-01T00:00:00", None),  # the entry says until when; a gap has no price
        ("2026-01-01T15:59:59", None),
        ("2026-01-01T16:00:00", 2_500_000),
    ],
)
def test_entries_hold_from_their_first_moment_up_to_but_not_including_their_end(at: str, cost: int | None) -> None:
    result = price({"input_uncached": 1}, at=micros(at))
    assert result.cost_pico_usd == cost
    assert bool(result.unpriced_reason) == (cost is None)


def test_the_whole_request_moves_above_the_threshold() -> None:
    assert price({"input_uncached": 600, "cache_read": 400}).cost_pico_usd == 600 * 2_500_000 + 400 * 1_250_000
    assert price({"input_uncached": 601, "cache_read": 400}).cost_pico_usd == 601 * 5_000_000 + 400 * 2_500_000
    # Output doesn't count towards the threshold, but moves with the request.
    assert price({"input_uncached": 1000, "output_text": 9}).cost_pico_usd == 1000 * 2_500_000 + 9 * 10_000_000
    assert price({"input_uncached": 1001, "output_text": 9}).cost_pico_usd == 1001 * 5_000_000 + 9 * 15_000_000


def test_a_service_tier_has_a_multiplier_or_prices_of_its_own_else_the_event_is_unpriced() -> None:
    assert price({"output_text": 3}, service_tier="standard") == price({"output_text": 3})
    assert price({"output_text": 3}, service_tier="batch").cost_pico_usd == 15_000_000
    assert price({"output_text": 3}, service_tier="priority").cost_pico_usd == 60_000_000
    result = price({"output_text": 3}, service_tier="flex")
    assert (result.cost_pico_usd, result.entry_id) == (None, "openai/big@2026-01-01T16:00:00Z")
    assert result.unpriced_reason == "no price for service tier 'flex'"


def test_no_price_is_not_zero() -> None:
    result = price({"input_uncached": 5, "input_audio": 1})
    assert (result.cost_pico_usd, result.tier) == (None, "premium")
    assert result.unpriced_reason == "no price for usage class input_audio"
    assert price({"input_uncached": 5, "input_audio": 0}).cost_pico_usd == 12_500_000


def test_a_deployment_has_the_name_its_owner_gave_it_and_a_spelling_may_stand_before_any() -> None:
    text = RIGHT.replace(
        "    rules:\n",
        "    rules:\n"
        '      - {match: our-chat-deployment, model: big, reason: "an Azure deployment of ours"}\n'
        '      - {spelling: azure/, reason: "how LiteLLM says where a call goes"}\n',
    )
    provider = read_book(text).providers["openai"]
    names = ("our-chat-deployment", "azure/our-chat-deployment", "azure/big-mini-2", "azure/azure/big", "azure/nothing")
    assert [provider.model_name(name) for name in names] == ["big", "big", "small", None, None]

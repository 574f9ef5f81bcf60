"""What real calls cost, as arithmetic on the vendors' printed prices (USD per million tokens, or per unit)."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pricing.book import load_book
from pricing.kernel import price_event
from pricing.money import usd_decimal
from pricing.usage import USAGE_CLASSES

BOOK = load_book()
M = 1_000_000


@dataclass(frozen=True)
class Case:
    """One call and, in dollars, what the vendor's page says it costs."""

    name: str
    provider: str
    model: str
    usd: Decimal
    usage: dict[str, int] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)
    on: str = "2026-11-22T12:00:00+00:00"
    service_tier: str = ""


def d(amount: str | int) -> Decimal:
    return Decimal(amount)


# https://developers.openai.com/api/docs/pricing
OPENAI = [
    Case(
        "gpt-4o with cached input",
        "openai",
        "gpt-4o",
        (900 * d("2.50") + 100 * d("1.25") + 200 * d("10.00")) / M,
        {"input_uncached": 900, "cache_read": 100, "output_text": 200},
    ),
    Case(
        "gpt-4o-mini with cached input",
        "openai",
        "gpt-4o-mini",
        (900 * d("0.15") + 100 * d("0.075") + 200 * d("0.60")) / M,
        {"input_uncached": 900, "cache_read": 100, "output_text": 200},
    ),
    Case("a snapshot at the same price", "openai", "gpt-4o-2024-08-06", d("2.50") / M, {"input_uncached": 1}),
    Case("a dearer snapshot", "openai", "gpt-4o-2024-05-13", d(5 + 15) / M, {"input_uncached": 1, "output_text": 1}),
    Case(
        "gpt-4o while it was that snapshot",
        "openai",
        "gpt-4o",
        (5 + d(15)) / M,
        {"input_uncached": 1, "output_text": 1},
        on="2024-10-01T23:59:59+00:00",
    ),
    Case("o3 before its cut", "openai", "o3", d(40) / M, {"output_reasoning": 1}, on="2025-06-09T23:59:59+00:00"),
    Case("o3 from its cut on", "openai", "o3", d(8) / M, {"output_reasoning": 1}, on="2025-06-10T00:00:00+00:00"),
    Case(
        "batch has no cached price at gpt-4o",
        "openai",
        "gpt-4o",
        (10 * d("1.25") + 10 * d("1.25")) / M,
        {"input_uncached": 10, "cache_read": 10},
        service_tier="batch",
    ),
    Case("flex halves gpt-5", "openai", "gpt-5", 7 * d("10.00") / 2 / M, {"output_text": 7}, service_tier="flex"),
    Case("priority at gpt-4o", "openai", "gpt-4o", d("4.25") / M, {"input_uncached": 1}, service_tier="priority"),
    Case("priority has own prices at mini", "openai", "gpt-4o-mini", d("0.25") / M, {"input_uncached": 1},
         service_tier="priority"),
    Case("272,000 tokens are short", "openai", "gpt-5.4", 272_000 * d("2.50") / M, {"input_uncached": 272_000}),
    Case(
        "272,001 tokens are long, all of them and the output",
        "openai",
        "gpt-5.4",
        (1 * d("5.00") + 272_000 * d("0.50") + 10 * d("22.50")) / M,
        {"input_uncached": 1, "cache_read": 272_000, "output_text": 10},
    ),
    Case("an image is input", "openai", "gpt-4.1", 765 * d("2.00") / M, {"input_image": 765}),
    Case("web searches", "openai", "gpt-5", 3 * d("10.00") / 1000 + d("1.25") / M, {"input_uncached": 1},
         {"web_searches": 3}),
    Case("an embedding in a batch", "openai", "text-embedding-3-small", 8 * d("0.01") / M, {"input_uncached": 8},
         service_tier="batch"),
    Case("90 seconds of speech", "openai", "whisper-1", 90 * d("0.006") / 60, units={"audio_seconds": 90}),
    Case("1,000 characters spoken", "openai", "tts-1", 1000 * d("15.00") / M, units={"characters": 1000}),
]  # fmt: skip

# https://platform.claude.com/docs/en/about-claude/pricing: writes 1.25 x (5 minutes) and 2 x (an hour), reads 0.1 x
ANTHROPIC = [
    Case(
        "cache writes of both lives",
        "anthropic",
        "claude-sonnet-4-5-20250929",
        (10 * d(3) + 20 * 3 * d("1.25") + 30 * 3 * d(2) + 40 * 3 * d("0.1") + 50 * d(15)) / M,
        {"input_uncached": 10, "cache_write_5m": 20, "cache_write_1h": 30, "cache_read": 40, "output_text": 50},
    ),
    Case(
        "cache counts towards the 200,000",
        "anthropic",
        "claude-sonnet-4.5",
        (200_000 * d("0.60") + 1 * d(6)) / M,
        {"input_uncached": 1, "cache_read": 200_000},
    ),
    Case("opus 4.1 is dear", "anthropic", "claude-opus-4-1", d(75) / M, {"output_text": 1}),
    Case("batch halves the cache too", "anthropic", "claude-haiku-4-5", d("0.05") / M, {"cache_read": 1},
         service_tier="batch"),
    Case("sonnet 5.5 before the cut", "anthropic", "claude-sonnet-5-5", d("0.20") / M, {"cache_read": 1},
         on="2026-10-06T23:59:59+00:00"),
    Case("sonnet 5.5 from the cut on", "anthropic", "claude-sonnet-5-5", d("0.10") / M, {"cache_read": 1},
         on="2026-10-07T00:00:00+00:00"),
    Case("haiku 5.5 above 100,000", "anthropic", "claude-haiku-5-5", 100_001 * d("0.50") / M,
         {"input_uncached": 100_001}),
]  # fmt: skip

OTHERS = [
    # https://ai.google.dev/gemini-api/docs/pricing
    Case("audio costs more than text", "google", "gemini-2.5-flash", (3 * d("0.30") + 5 * d("1.00")) / M,
         {"input_uncached": 3, "input_audio": 5}),
    Case("thoughts are output", "google", "gemini-2.5-pro", (d(10) + d(10)) / M,
         {"output_text": 1, "output_reasoning": 1}),
    Case("the introductory price", "google", "gemini-3.8-flash", d("3.75") / M, {"output_text": 1},
         on="2026-12-31T23:59:59+00:00"),
    Case("the price known to follow", "google", "gemini-3.8-flash", d("7.50") / M, {"output_text": 1},
         on="2027-01-01T00:00:00+00:00"),
    # https://docs.x.ai/docs/models: the long price begins at 200,000 tokens, not above
    Case("grok just below 200,000", "xai", "grok-4.3", 199_999 * d("1.25") / M, {"input_uncached": 199_999}),
    Case("grok at 200,000", "xai", "grok-4.3", 200_000 * d("2.50") / M, {"input_uncached": 200_000}),
    # https://aws.amazon.com/bedrock/pricing/
    Case("bedrock's global profile", "aws.bedrock", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", d(15) / M,
         {"output_text": 1}),
    Case("bedrock's regional premium", "bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", d("16.50") / M,
         {"output_text": 1}),
    # https://api-docs.deepseek.com/quick_start/pricing: peak is 01:00-04:00 and 06:00-10:00 UTC, Monday to Friday
    Case("off-peak", "deepseek", "deepseek-v4-pro", d("1.98") / M, {"output_text": 1}, on="2026-11-20T04:00:00+00:00"),
    Case("peak", "deepseek", "deepseek-v4-pro", d("3.96") / M, {"output_text": 1}, on="2026-11-20T09:59:59+00:00"),
    Case("a weekend", "deepseek", "deepseek-flash", d("0.003") / M, {"cache_read": 1}, on="2026-11-22T09:00:00+00:00"),
    # The page as it stood in August 2026: V4 Flash, on a Saturday before weekends were off-peak and on one after.
    Case("a peak Saturday", "deepseek", "deepseek-v4-flash", d("1.32") / M, {"output_text": 1},
         on="2026-08-22T09:00:00+00:00"),
    Case("an off-peak Saturday", "deepseek", "deepseek-v4-flash", d("0.66") / M, {"output_text": 1},
         on="2026-08-29T09:00:00+00:00"),
    # The same page in August 2025: half price by night, until 5 September 2025, 16:00 UTC.
    Case("by day", "deepseek", "deepseek-chat", d("1.10") / M, {"output_text": 1}, on="2025-07-01T16:29:59+00:00"),
    Case("by night", "deepseek", "deepseek-chat", d("0.55") / M, {"output_text": 1}, on="2025-07-01T16:30:00+00:00"),
    Case("past midnight", "deepseek", "deepseek-reasoner", d("0.135") / M, {"input_uncached": 1},
         on="2025-07-02T00:29:59+00:00"),
    Case("one price", "deepseek", "deepseek-reasoner", d("1.68") / M, {"output_text": 1},
         on="2025-09-05T16:00:00+00:00"),
    # api-docs.deepseek.com/news: the names lead to V4 Flash from 24 April 2026 to 24 July 2026, 15:59 UTC.
    Case("by an old name", "deepseek", "deepseek-chat", d("0.28") / M, {"output_text": 1},
         on="2026-07-24T15:58:59+00:00"),
    # https://cohere.com/pricing
    Case("reranking", "cohere", "rerank-v3.5", 5 * d("2.00") / 1000, units={"search_units": 5}),
    # https://docs.voyageai.com/docs/pricing
    Case("reranking by tokens", "voyageai", "rerank-2.5", 2_400 * d("0.05") / M, {"input_uncached": 2_400}),
    # https://www.pinecone.io/pricing/
    Case("reading vectors", "pinecone", "serverless", 7 * d("16.00") / M, units={"read_units": 7}),
    # https://mistral.ai/pricing/api
    Case("a pointer before it moved", "mistral", "mistral-medium-latest", d(2) / M, {"output_text": 1},
         on="2026-06-15T23:59:59+00:00"),
    Case("a pointer after it moved", "mistral", "mistral-medium-latest", d("7.50") / M, {"output_text": 1},
         on="2026-06-16T00:00:00+00:00"),
    Case("a model at home", "ollama", "anything:70b-q4", d(0), {"input_uncached": 10**6, "output_reasoning": 10**6},
         {"requests": 1}, service_tier="batch"),
]  # fmt: skip


@pytest.mark.parametrize("case", [*OPENAI, *ANTHROPIC, *OTHERS], ids=lambda case: str(case.name))
def test_a_call_costs_what_the_vendors_page_says(case: Case) -> None:
    result = price_event(
        BOOK,
        case.usage,
        provider=case.provider,
        model=case.model,
        occurred_at_us=int(datetime.fromisoformat(case.on).astimezone(UTC).timestamp()) * 1_000_000,
        service_tier=case.service_tier,
        units=case.units,
    )
    assert result.unpriced_reason == ""
    assert result.cost_pico_usd is not None
    assert usd_decimal(result.cost_pico_usd) == case.usd


# Each costs something else than the model its name begins with.
NEIGHBOURS = [
    ("openai", "gpt-4o-audio-preview", ""),
    ("openai", "ft:gpt-4o-mini-2024-07-18:org::id", ""),
    ("openai", "gpt-3.5-turbo-0613", "openai/gpt-3.5-turbo-0613@2026-01-01"),
    ("openai", "gpt-5.1-codex-mini", "openai/gpt-5.1-codex-mini@2026-01-01"),
    ("google", "gemini-1.5-flash-8b", ""),
    ("cohere", "command-r-plus-04-2024", ""),
    ("aws.bedrock", "us.amazon.nova-premier-v1:0", ""),
    ("anthropic", "claude", ""),
]


@pytest.mark.parametrize(("provider", "model", "entry_id"), NEIGHBOURS)
def test_a_model_that_costs_something_else_is_not_mistaken_for_its_neighbour(
    provider: str, model: str, entry_id: str
) -> None:
    result = price_event(BOOK, {"input_uncached": 1}, provider=provider, model=model, occurred_at_us=1_790 * 10**12)
    assert result.entry_id == entry_id
    assert (result.cost_pico_usd is None) == (entry_id == "")


# A name as it is sent, and the price of its input by the vendor's page; None has no price, and not a neighbour's.
NAMES = [
    ("openai", "gpt-4o-2024-08-06", "2.50"),
    ("openai", "gpt-4o-2024-05-13", "5.00"),
    ("openai", "gpt-5-2025-08-07", "1.25"),
    ("anthropic", "claude-sonnet-4-5-20250929", "3.00"),
    ("anthropic", "claude-3-5-haiku-20241022", "0.80"),
    ("azure", "gpt-4o", "2.50"),
    ("azure", "azure/gpt-4o-mini", "0.15"),
    ("azure", "azure/eu/gpt-4o-2024-08-06", None),
    ("azure", "our-chat-deployment", None),
    ("bedrock", "global.anthropic.claude-opus-4-6-v1", "5.00"),
    ("bedrock", "us.anthropic.claude-opus-4-6-v1", "5.50"),
    ("bedrock", "eu.anthropic.claude-sonnet-4-6-v1:0", "3.30"),
    ("bedrock", "us.anthropic.claude-opus-5", "5.50"),
    ("bedrock", "apac.anthropic.claude-opus-5", "5.50"),
    ("bedrock", "us-gov.anthropic.claude-opus-5", None),
    ("bedrock", "us.anthropic.claude-3-7-sonnet-20250219-v1:0", "3.00"),
    ("bedrock", "anthropic.claude-3-5-haiku-20241022-v1:0", "0.80"),
    ("bedrock", "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0", "1.10"),
    ("bedrock", "bedrock/us-east-1/anthropic.claude-haiku-4-5", None),
    ("openrouter", "anthropic/claude-sonnet-4.5", "3.00"),
    ("openrouter", "openrouter/anthropic/claude-sonnet-4.5", "3.00"),
    ("openrouter", "openrouter/openai/gpt-4o:online", None),
    ("vertex_ai", "vertex_ai/gemini-2.5-flash", "0.30"),
    ("groq", "groq/openai/gpt-oss-120b", "0.15"),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "model", "usd_per_million"), NAMES)
def test_a_name_means_what_the_vendor_bills_by_that_name(
    provider: str, model: str, usd_per_million: str | None
) -> None:
    result = price_event(BOOK, {"input_uncached": 10}, provider=provider, model=model, occurred_at_us=1_790 * 10**12)
    wanted = None if usd_per_million is None else 10 * d(usd_per_million) / M
    assert (None if result.cost_pico_usd is None else usd_decimal(result.cost_pico_usd)) == wanted


def test_five_hundred_models_of_twenty_vendors_have_a_price_today_with_source_and_date() -> None:
    today_us = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp()) * 1_000_000
    priced = {
        (vendor, model): entry
        for vendor, provider in BOOK.providers.items()
        for model, prices in provider.models.items()
        if (entry := prices.entry_at(today_us))
    }
    assert len(priced) >= 500
    assert len({vendor for vendor, _ in priced}) >= 20
    assert all(entry.source.startswith("https://") and entry.checked for entry in priced.values())


def test_every_rule_leads_to_a_model_that_has_a_price() -> None:
    for provider in BOOK.providers.values():
        for match, model in provider.exact_rules.items():
            assert BOOK.find(provider.name, match) is provider.models[model]
        for rule in provider.prefix_rules:
            assert provider.find(f"{rule.prefix}\N{SNOWMAN}") is provider.models[rule.model]
            assert rule.reason
    for alias, provider_name in BOOK.provider_aliases.items():
        assert BOOK.provider(alias) is BOOK.providers[provider_name]


def test_no_price_of_the_book_is_beyond_what_is_plausible() -> None:
    for provider in BOOK.providers.values():
        for prices in provider.models.values():
            for entry in prices.entries:
                plan = entry.plan("")
                assert plan is not None
                for band in plan.bands:
                    by_class = dict(zip(USAGE_CLASSES, band.prices, strict=True))
                    prompt, cached, text = (by_class[c] for c in ("input_uncached", "cache_read", "output_text"))
                    assert cached is None or prompt is None or cached <= prompt, entry.entry_id
                    assert (prompt or 0) <= 200 * M and (text or 0) <= 800 * M, entry.entry_id
                    assert not prompt or not text or prompt / 4 <= text <= 40 * prompt, entry.entry_id

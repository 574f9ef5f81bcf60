from __future__ import annotations

import pytest

from services.cli.events_csv import BadFile, column_fields, read_csv

CONSTANTS = {"tenant_id": "azure", "provider": "openai", "model": "gpt-4o"}


def test_the_columns_of_the_azure_trace_are_known_without_a_mapping() -> None:
    lines = ["TIMESTAMP,ContextTokens,GeneratedTokens\n", "2023-11-16 18:15:46.6805900,374,44\n"]
    (row,) = read_csv(lines, {}, CONSTANTS)
    assert row.line == 2
    assert row.event == {
        **CONSTANTS,
        "occurred_at": "2023-11-16T18:15:46.680590Z",
        "prompt_tokens": 374,
        "completion_tokens": 44,
    }


def test_a_mapping_goes_before_what_is_known() -> None:
    header = ["TIMESTAMP", "ContextTokens", "seen"]
    fields = column_fields(header, {"occurred_at": "seen", "cached_tokens": "ContextTokens"}, CONSTANTS)
    assert fields == {2: "occurred_at", 1: "cached_tokens"}


def test_columns_named_like_fields_need_no_mapping_and_usage_classes_and_units_are_nested() -> None:
    lines = [
        "occurred_at,input_uncached,cache_read,units.read_units,cache_hit,latency_ms,feature\n",
        "2026-10-01T00:00:00Z,900,100,3,true,812,chat\n",
    ]
    (row,) = read_csv(lines, {}, CONSTANTS)
    assert row.event["usage"] == {"input_uncached": 900, "cache_read": 100, "units": {"read_units": 3}}
    assert (row.event["cache_hit"], row.event["latency_ms"], row.event["feature"]) == (True, 812, "chat")


def test_a_column_that_is_asked_for_and_missing_is_named_with_those_there_are() -> None:
    with pytest.raises(BadFile, match=r"no column Tokens in it; its columns are TIMESTAMP, ContextTokens"):
        column_fields(["TIMESTAMP", "ContextTokens"], {"prompt_tokens": "Tokens"}, CONSTANTS)


def test_what_nothing_gives_is_named() -> None:
    with pytest.raises(BadFile, match=r"nothing in it gives occurred_at, model, prompt_tokens"):
        column_fields(["when", "who"], {}, {"tenant_id": "a", "provider": "openai"})


def test_a_constant_goes_before_a_column_of_its_name() -> None:
    (row,) = read_csv(["occurred_at,model,prompt_tokens\n", "2026-10-01,gpt-5,1\n"], {}, CONSTANTS)
    assert row.event["model"] == "gpt-4o"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("2026-10-01,x,1\n", "line 3: prompt_tokens: 'x' is no whole number"),
        ("2026-10-01,1.5,1\n", "line 3: prompt_tokens: '1.5' is no whole number"),
        ("soon,1,1\n", "line 3: occurred_at: 'soon' is no time"),
        ("2026-10-01,1\n", "line 3: 2 cells where the header has 3"),
    ],
)
def test_a_bad_row_is_named_by_its_line(line: str, words: str) -> None:
    lines = ["occurred_at,prompt_tokens,completion_tokens\n", "2026-10-01,1,1\n", line]
    with pytest.raises(BadFile, match=words):
        list(read_csv(lines, {}, CONSTANTS))


def test_an_empty_file_lacks_everything() -> None:
    with pytest.raises(BadFile, match="its columns are none"):
        list(read_csv([], {}, CONSTANTS))

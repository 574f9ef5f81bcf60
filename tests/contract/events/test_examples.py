"""The examples in proto/examples: every codec accepts the same events and refuses the same ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from jsonschema import Draft202012Validator

from services.contracts.admission import admit
from services.contracts.json_event import EventRefused, decode_event, encode_event
from services.contracts.json_strict import parse_json
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.contracts.usage_schema import usage_schema

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "proto" / "examples"
ACCEPTED = sorted((EXAMPLES / "accepted").glob("*.json"))
REFUSED = sorted((EXAMPLES / "refused").glob("*.json"))

Validator = Draft202012Validator


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    published = json.loads((ROOT / "services" / "contracts" / "usage_schema.json").read_text(encoding="utf-8"))
    Validator.check_schema(published)
    return Validator(published)


def _name(path: Path) -> str:
    return path.stem


def _proto(path: Path) -> usage_pb2.UsageEvent:
    return text_format.Parse(path.with_suffix(".txtpb").read_text(encoding="utf-8"), usage_pb2.UsageEvent())


def test_there_are_examples() -> None:
    assert len(ACCEPTED) >= 5
    assert len(REFUSED) >= 20


@pytest.mark.parametrize("path", ACCEPTED, ids=_name)
def test_json_says_the_same_as_protobuf(path: Path) -> None:
    event = decode_event(parse_json(path.read_bytes()))
    assert event == _proto(path)
    assert admit(event) is None


@pytest.mark.parametrize("path", ACCEPTED, ids=_name)
def test_the_schema_accepts_the_example_and_its_canonical_form(path: Path, schema: Draft202012Validator) -> None:
    schema.validate(json.loads(path.read_bytes()))
    schema.validate(encode_event(_proto(path)))


@pytest.mark.parametrize("path", ACCEPTED, ids=_name)
def test_protobuf_keeps_the_example(path: Path) -> None:
    event = _proto(path)
    assert usage_pb2.UsageEvent.FromString(event.SerializeToString(deterministic=True)) == event
    assert decode_event(parse_json(json.dumps(encode_event(event)).encode())) == event


def test_the_example_with_every_field_has_every_field() -> None:
    event = _proto(EXAMPLES / "accepted" / "every_field.json")
    assert {f.name for f, _ in event.ListFields()} == {f.name for f in usage_pb2.UsageEvent.DESCRIPTOR.fields}
    assert {f.name for f, _ in event.usage.ListFields()} == {f.name for f in usage_pb2.Usage.DESCRIPTOR.fields}


@pytest.mark.parametrize("path", REFUSED, ids=_name)
def test_a_bad_event_is_refused_with_its_reason(path: Path, schema: Draft202012Validator) -> None:
    example: dict[str, Any] = parse_json(path.read_bytes())
    try:
        reason = admit(decode_event(example["event"]))
    except EventRefused as refused:
        reason = str(refused)
    assert reason == example["reason"]
    if example.get("schema", True):
        assert not schema.is_valid(json.loads(path.read_bytes())["event"])


def test_the_published_schema_is_the_generated_one() -> None:
    published = (ROOT / "services" / "contracts" / "usage_schema.json").read_text(encoding="utf-8")
    assert json.loads(published) == usage_schema()

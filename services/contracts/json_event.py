"""The JSON form of a usage event, strictly: what is unknown, doubtful or of the wrong type is refused by name.

Decoding checks form; `admission` checks content. `decode_event(encode_event(e)) == e` for every well-formed event.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from pricing.usage import USAGE_CLASSES
from services.contracts.json_strict import DuplicateName, MalformedJson, json_kind, parse_json
from services.contracts.normalise import SHAPES, Usage, UsageShapeError, normalise
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.contracts.timestamps import decode_occurred_at, encode_timestamp

SIMPLE_USAGE: Final = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
"""The simple form: cached tokens are part of the prompt's, reasoning tokens part of the completion's."""

VENDOR_USAGE: Final = ("vendor_usage", "vendor_usage_shape")
"""A vendor's usage object as its answer has it, normalised here; the shape may be left out where its keys tell it."""

_INT64: Final = (-(1 << 63), (1 << 63) - 1)
_INT32: Final = (-(1 << 31), (1 << 31) - 1)
_NAME_SHOWN_MAX: Final = 64
_COST_DIGITS_MAX: Final = 60


class EventRefused(ValueError):
    """A JSON value that is no usage event; the text names every field that is wrong and why."""


def decode_event(value: object) -> usage_pb2.UsageEvent:
    """The event `value` (parsed by `json_strict.parse_json`) says; raises EventRefused."""
    if isinstance(value, DuplicateName):
        raise EventRefused(f"{_shown(value.name)} is given twice")
    if not isinstance(value, dict):
        raise EventRefused(f"an event must be an object, not {json_kind(value)}")
    fields: dict[str, Any] = {}
    simple: dict[str, int] = {}
    vendor: dict[str, Any] = {}
    reasons: list[str] = []
    for name, given in value.items():
        decode = _DECODERS.get(name)
        try:
            if decode is not None:
                fields[name] = decode(name, given)
            elif name in SIMPLE_USAGE:
                simple[name] = _decode_count(name, given)
            elif name in VENDOR_USAGE:
                vendor[name] = given
            else:
                reasons.append(_unknown(name, _KNOWN_NAMES))
        except ValueError as error:
            reasons.append(str(error))
    reasons = reasons or _add_other_usage(fields, simple, vendor)
    if reasons:
        raise EventRefused("; ".join(reasons))
    return usage_pb2.UsageEvent(**fields)


def add_vendor_usage(event: usage_pb2.UsageEvent, given: usage_pb2.VendorUsage) -> None:
    """Puts a vendor's usage object into an event that has none, as `decode_event` does; raises EventRefused."""
    fields: dict[str, Any] = {"service_tier": event.service_tier} if event.service_tier else {}
    try:
        vendor = {"vendor_usage": parse_json(given.json.encode())} | (
            {"vendor_usage_shape": given.shape} if given.shape else {}
        )
    except MalformedJson as error:
        raise EventRefused(f"vendor_usage is malformed JSON: {error}") from None
    reasons = _add_vendor_usage(fields, vendor, ["usage"] if event.HasField("usage") else [])
    if reasons:
        raise EventRefused("; ".join(reasons))
    event.MergeFrom(usage_pb2.UsageEvent(**fields))


def encode_event(event: usage_pb2.UsageEvent) -> dict[str, Any]:
    """`event` as JSON values, in the proto's order; what it does not say is left out."""
    encoded: dict[str, Any] = {}
    for field, value in event.ListFields():
        if field.name == "occurred_at":
            encoded[field.name] = encode_timestamp(value)
        elif field.name == "usage":
            encoded[field.name] = _encode_usage(value)
        elif field.name == "metadata":
            encoded[field.name] = dict(sorted(value.items()))
        elif field.enum_type is not None:
            encoded[field.name] = _ENUM_NAMES[field.name].get(value, value)
        else:
            encoded[field.name] = value
    return encoded


def _encode_usage(usage: usage_pb2.Usage) -> dict[str, Any]:
    encoded: dict[str, Any] = {name: getattr(usage, name) for name in USAGE_CLASSES if usage.HasField(name)}
    if usage.units:
        encoded["units"] = dict(sorted(usage.units.items()))
    return encoded


def _add_other_usage(fields: dict[str, Any], simple: dict[str, int], vendor: Mapping[str, Any]) -> list[str]:
    """Puts usage that isn't in disjoint classes yet into `fields`; returns why that can't be done."""
    if vendor:
        return _add_vendor_usage(fields, vendor, [*simple, *(["usage"] if "usage" in fields else [])])
    return _add_simple_usage(fields, simple) if simple else []


def _add_simple_usage(fields: dict[str, Any], simple: dict[str, int]) -> list[str]:
    """Puts the simple form into `fields` as disjoint classes; returns why that can't be done.

    Units have no simple form: a `usage` of units alone goes with it.
    """
    usage: dict[str, Any] = {}
    if "usage" in fields:
        if any(map(fields["usage"].HasField, USAGE_CLASSES)):
            return [f"give usage classes or {', '.join(sorted(simple))}, not both"]
        usage["units"] = fields["usage"].units
    reasons = [f"{name} must not be negative, it is {count}" for name, count in simple.items() if count < 0]
    for whole, part, rest_class, part_class in (
        ("prompt_tokens", "cached_tokens", "input_uncached", "cache_read"),
        ("completion_tokens", "reasoning_tokens", "output_text", "output_reasoning"),
    ):
        if whole not in simple:
            if part in simple:
                reasons.append(f"{part} is part of {whole}, which is not given")
            continue
        part_count = simple.get(part, 0)
        if part_count > max(simple[whole], 0):
            reasons.append(f"{part} ({part_count}) is more than {whole} ({simple[whole]}), which it is part of")
        usage[rest_class] = simple[whole] - part_count
        if part_count:
            usage[part_class] = part_count
    fields["usage"] = usage_pb2.Usage(**usage)
    return reasons


def _add_vendor_usage(fields: dict[str, Any], vendor: Mapping[str, Any], beside: Sequence[str]) -> list[str]:
    """Puts what the vendor says was used into `fields` as disjoint classes; returns why that can't be done."""
    if "vendor_usage" not in vendor:
        return ["vendor_usage_shape is the shape of vendor_usage, which is not given"]
    if beside:
        return [f"give vendor_usage or {', '.join(sorted(beside))}, not both"]
    shape = vendor.get("vendor_usage_shape")
    if shape is not None and shape not in SHAPES:
        return [f"vendor_usage_shape must be one of {', '.join(SHAPES)}"]
    try:
        _refuse_duplicates("vendor_usage", vendor["vendor_usage"])
        used = normalise(_members("vendor_usage", vendor["vendor_usage"]), shape)
    except UsageShapeError as error:
        return [f"vendor_usage: {error}"]
    except ValueError as error:
        return [str(error)]
    return _add_normalised(fields, used)


def _add_normalised(fields: dict[str, Any], used: Usage) -> list[str]:
    # A call that used nothing differs from one that doesn't say.
    classes = used.classes or ({} if used.units else {"input_uncached": 0})
    fields["usage"] = usage_pb2.Usage(**classes, units=used.units)
    if used.service_tier:
        tier = usage_pb2.ServiceTier.Value(f"SERVICE_TIER_{used.service_tier.upper()}")
        if fields.setdefault("service_tier", tier) != tier:
            said = _ENUM_NAMES["service_tier"][fields["service_tier"]]
            return [f"service_tier is {said}, vendor_usage says {used.service_tier}"]
    return []


def _refuse_duplicates(name: str, value: object) -> None:
    """A name that the vendor's object gives twice could mean either count."""
    if isinstance(value, DuplicateName):
        raise ValueError(f"{name}.{_shown(value.name)} is given twice")
    for key, inner in value.items() if isinstance(value, dict) else ():
        _refuse_duplicates(f"{name}.{_shown(key)}", inner)
    for inner in value if isinstance(value, list) else ():
        _refuse_duplicates(name, inner)


def _decode_text(name: str, value: object) -> str:
    if type(value) is not str:
        raise ValueError(f"{name} must be text, not {json_kind(value)}")
    if not value.isascii():
        _check_encodable(name, value)
    return value


def _check_encodable(name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} contains half a character (a lone surrogate)") from None


def _decode_int(name: str, value: object, bounds: tuple[int, int]) -> int:
    if type(value) is not int:
        raise ValueError(f"{name} must be a whole number, not {json_kind(value)}")
    if not bounds[0] <= value <= bounds[1]:
        raise ValueError(f"{name} is out of range")
    return value


def _decode_count(name: str, value: object) -> int:
    return _decode_int(name, value, _INT64)


def _decode_int32(name: str, value: object) -> int:
    return _decode_int(name, value, _INT32)


def _decode_bool(name: str, value: object) -> bool:
    if type(value) is not bool:
        raise ValueError(f"{name} must be true or false, not {json_kind(value)}")
    return value


def _decode_cost(name: str, value: object) -> str:
    """An exact decimal of USD, canonical: no exponent, no needless zeros."""
    if type(value) not in (str, int, Decimal):
        raise ValueError(f"{name} must be a decimal of USD, not {json_kind(value)}")
    try:
        cost = Decimal(value)  # type: ignore[arg-type]
    except InvalidOperation:
        cost = Decimal("NaN")
    # Before it is written out: 1e999999999 is short, its digits are not.
    if (
        not cost.is_finite()
        or len(cost.as_tuple().digits) > _COST_DIGITS_MAX
        or abs(cost.adjusted()) > _COST_DIGITS_MAX
    ):
        raise ValueError(f"{name} must be a decimal of USD")
    written = format(cost, "f")
    if "." in written:
        written = written.rstrip("0").rstrip(".")
    return written if cost else "0"


def _decode_usage(name: str, value: object) -> usage_pb2.Usage:
    counts: dict[str, Any] = {}
    for key, given in _members(name, value).items():
        if key in _CLASS_NAMES:
            counts[key] = _decode_count(f"{name}.{key}", given)
        elif key == "units":
            units = _members(f"{name}.units", given)
            counts[key] = {
                _decode_text("a name in usage.units", k): _decode_count(f"{name}.units.{_shown(k)}", v)
                for k, v in units.items()
            }
        elif key in SIMPLE_USAGE:
            raise ValueError(f"{name}.{key} is not a usage class: give {key} beside the other fields, without usage")
        else:
            raise ValueError(_unknown(key, (*USAGE_CLASSES, "units"), f"{name}."))
    return usage_pb2.Usage(**counts)


def _decode_metadata(name: str, value: object) -> dict[str, str]:
    return {
        _decode_text(f"a name in {name}", key): _decode_text(f"{name}.{_shown(key)}", given)
        for key, given in _members(name, value).items()
    }


def _members(name: str, value: object) -> Mapping[str, object]:
    if isinstance(value, DuplicateName):
        raise ValueError(f"{name}.{_shown(value.name)} is given twice")
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be an object, not {json_kind(value)}")
    return value


def _unknown(name: str, known: tuple[str, ...], prefix: str = "") -> str:
    near = difflib.get_close_matches(name[:_NAME_SHOWN_MAX], known, n=1, cutoff=0.7)
    hint = f"; did you mean {prefix}{near[0]}?" if near else ""
    return f"{prefix}{_shown(name)} is not a field of a usage event{hint}"


def _shown(name: str) -> str:
    """A name the caller chose, as it may stand in a reason: short and printable."""
    return name[:_NAME_SHOWN_MAX].encode("ascii", "backslashreplace").decode()


def enum_names(values: Sequence[tuple[str, int]]) -> dict[int, str]:
    """Number -> JSON name of an enum's (name, number) but the unspecified one, which JSON says by leaving it out."""
    prefix = values[0][0].removesuffix("UNSPECIFIED")
    return {number: name.removeprefix(prefix).lower() for name, number in values if number}


def _enum_decoder(numbers: dict[str, int]) -> Callable[[str, object], int]:
    def decode(name: str, value: object) -> int:
        number = numbers.get(value) if type(value) is str else None
        if number is None:
            raise ValueError(f"{name} must be one of {', '.join(numbers)}")
        return number

    return decode


def _decoder(name: str, field_type: int) -> Callable[[str, object], Any]:
    if name in _ENUM_NAMES:
        return _enum_decoder({text: number for number, text in _ENUM_NAMES[name].items()})
    return _SPECIAL.get(name) or _BY_TYPE[field_type]


_FIELDS: Final = usage_pb2.UsageEvent.DESCRIPTOR.fields
_CLASS_NAMES: Final = frozenset(USAGE_CLASSES)
_ENUM_NAMES: Final = {
    f.name: enum_names([(v.name, v.number) for v in f.enum_type.values]) for f in _FIELDS if f.enum_type is not None
}
_SPECIAL: Final[dict[str, Callable[[str, object], Any]]] = {
    "occurred_at": decode_occurred_at,
    "usage": _decode_usage,
    "metadata": _decode_metadata,
    "reported_cost_usd": _decode_cost,
}
_BY_TYPE: Final[dict[int, Callable[[str, object], Any]]] = {
    FieldDescriptor.TYPE_STRING: _decode_text,
    FieldDescriptor.TYPE_INT64: _decode_count,
    FieldDescriptor.TYPE_INT32: _decode_int32,
    FieldDescriptor.TYPE_BOOL: _decode_bool,
}
_DECODERS: Final = {f.name: _decoder(f.name, f.type) for f in _FIELDS}
_KNOWN_NAMES: Final = (*_DECODERS, *SIMPLE_USAGE, *VENDOR_USAGE)

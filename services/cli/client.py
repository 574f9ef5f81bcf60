"""Spendstream over HTTP, as the command line uses it: its doors and its answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Literal, Self

import httpx
import orjson

from services.cli.events_csv import Event

Json = dict[str, Any]

_TIMEOUT_SECONDS = 30.0
_ATTEMPTS_MAX = 8
_BACKOFF_SECONDS_MAX = 5.0
_PASSING = frozenset({429, 500, 502, 503, 504})


class Unreachable(Exception):
    """A service doesn't answer, or not as it should; the message names it."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a running Spendstream is, and the key that may do everything there."""

    query_url: str
    gateway_url: str
    admin_key: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the door said to a batch; `rejected` is `{"index", "event_id", "reason"}` each."""

    accepted: int
    rejected: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Totals:
    """What the system has counted for a tenant over some days. `cost_usd` is exact."""

    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: Decimal
    unpriced_events: int
    data_through: datetime | None


@dataclass(frozen=True, slots=True)
class Ledger:
    """What became of everything read from Kafka so far, all tenants together."""

    counted: int
    duplicate: int
    dead_lettered: int
    quarantined: int


class Client:
    """Calls to one Spendstream. Safe to use from several threads."""

    def __init__(self, address: Address) -> None:
        self.address = address
        headers = {"authorization": f"Bearer {address.admin_key}"}
        self._http = httpx.Client(headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def require_ready(self) -> None:
        """Raises Unreachable unless both the door and the query service answer that they are ready."""
        for name, url in (("gateway", self.address.gateway_url), ("query service", self.address.query_url)):
            try:
                response = self._http.get(f"{url}/readyz", timeout=5)
            except httpx.HTTPError as error:
                raise Unreachable(f"the {name} at {url} doesn't answer ({_words(error)})") from error
            if response.status_code != 200:
                raise Unreachable(f"the {name} at {url} isn't ready (HTTP {response.status_code})")

    def send(self, events: Sequence[Event]) -> Answer:
        """Hands events to the HTTP door; tries again what may pass, which is safe as the ids stay the same."""
        response = self._request("POST", f"{self.address.gateway_url}/v1/events", content=orjson.dumps(list(events)))
        body = _json(response)
        if response.status_code not in (200, 400) or "accepted" not in body:
            raise Unreachable(f"the gateway refused: {_problem(response, body)}")
        return Answer(int(body["accepted"]), tuple(body.get("rejected", ())))

    def totals(self, tenant_id: str, first: date, last: date) -> Totals:
        """A tenant's totals from the day `first` to the day `last`, both included, in UTC; zeros for an unknown one."""
        params = {
            "filter[tenant_id]": tenant_id,
            "from": first.isoformat(),
            "to": date.fromordinal(last.toordinal() + 1).isoformat(),
            "tz": "UTC",
            "measures": "cost_usd,calls,prompt_tokens,completion_tokens",
        }
        response = self._request("GET", f"{self.address.query_url}/api/v1/costs", params=params)
        if response.status_code == 404:
            return Totals(0, 0, 0, Decimal(0), 0, None)
        body = _expect_ok(response, "/api/v1/costs")
        totals, through = body["totals"], body.get("data_through")
        return Totals(
            calls=int(totals["calls"] or 0),
            prompt_tokens=int(totals["prompt_tokens"] or 0),
            completion_tokens=int(totals["completion_tokens"] or 0),
            cost_usd=Decimal(totals["cost_usd"] or 0),
            unpriced_events=int(body.get("unpriced_events") or 0),
            data_through=datetime.fromisoformat(through).astimezone(UTC) if through else None,
        )

    def ledger(self) -> Ledger:
        """The counters of the audit, summed over partitions."""
        # One day: the counters are of all time, and the rest of the audit needn't be computed for more.
        partitions = self.get("/api/v1/audit", {"days": "1"})["data"]["ledger"]
        return Ledger(**{name: sum(int(each[name]) for each in partitions) for name in Ledger.__dataclass_fields__})

    def get(self, path: str, params: dict[str, str] | None = None) -> Json:
        """The JSON of a GET on the query service that must answer 200."""
        return _expect_ok(self._request("GET", self.address.query_url + path, params=params), path)

    def change(self, method: Literal["POST", "PATCH"], path: str, body: Json) -> int:
        """The status of a change on the query service."""
        return self._request(method, self.address.query_url + path, content=orjson.dumps(body)).status_code

    def _request(
        self, method: str, url: str, *, params: dict[str, str] | None = None, content: bytes | None = None
    ) -> httpx.Response:
        """One request, tried again with back-off while the other side is away or busy."""
        headers = {"content-type": "application/json"} if content is not None else {}
        for attempt in range(1, _ATTEMPTS_MAX + 1):
            try:
                response = self._http.request(method, url, headers=headers, params=params, content=content)
            except httpx.HTTPError as error:
                if attempt == _ATTEMPTS_MAX:
                    raise Unreachable(f"{url} doesn't answer ({_words(error)})") from error
            else:
                if response.status_code not in _PASSING or attempt == _ATTEMPTS_MAX:
                    return response
            time.sleep(min(0.1 * 2**attempt, _BACKOFF_SECONDS_MAX))
        raise AssertionError("the last attempt returns or raises")


def _expect_ok(response: httpx.Response, path: str) -> Json:
    body = _json(response)
    if response.status_code != 200:
        raise Unreachable(f"GET {path}: {_problem(response, body)}")
    return body


def _json(response: httpx.Response) -> Json:
    """The body if it is a JSON object, else an empty one: its number says enough then."""
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _problem(response: httpx.Response, body: Json) -> str:
    """HTTP's number with the words of an RFC 9457 body where there is one."""
    detail = body.get("detail") or body.get("title")
    return f"HTTP {response.status_code}" + (f", {detail}" if detail else "")


def _words(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__

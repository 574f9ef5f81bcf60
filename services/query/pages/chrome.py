"""What surrounds the figures on every page: navigation, filter bar, the live dot. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.contracts.keys import Principal
from services.query.pages.links import FILTERS, PageState
from services.query.pages.ranges import LABELS, PageRange, RangeName

OVERVIEW_RANGES: Final[tuple[RangeName, ...]] = ("24h", "7d", "30d", "month", "3m", "all")
PAYROLL_RANGES: Final[tuple[RangeName, ...]] = ("7d", "30d", "month", "3m")
CHIPS: Final = {**FILTERS, "min": "From USD"}
# The stream is behind when the last figure is older than this.
_STALE_AFTER: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class NavLink:
    label: str
    href: str
    icon: str
    current: bool
    badge: int = 0


@dataclass(frozen=True, slots=True)
class NavGroup:
    title: str
    links: tuple[NavLink, ...]


@dataclass(frozen=True, slots=True)
class Nav:
    """`current_in_rest`: the page is one of a titled group, which a phone shows behind "More"."""

    groups: tuple[NavGroup, ...]
    who: str
    current_in_rest: bool


# (icon and key of the page, label, path, group, only for admins). A page that isn't there is not listed.
_PAGES: Final = (
    ("overview", "Overview", "/", "", False),
    ("usage", "Usage", "/usage", "", False),
    ("features", "Features", "/features", "", False),
    ("runs", "Runs", "/runs", "", False),
    ("alerts", "Alerts", "/alerts", "", False),
    ("orgs", "Orgs", "/orgs", "Manage", True),
    ("budgets", "Budgets", "/budgets", "Manage", False),
    ("prices", "Prices", "/prices", "Manage", False),
    ("audit", "Audit", "/audit", "Manage", True),
    ("keys", "Keys", "/keys", "Manage", True),
)


def navigation(principal: Principal, current: str, tenant: str | None, firing: int) -> Nav:
    """The rail. Overview and its neighbours keep the tenant that was picked."""
    groups: dict[str, list[NavLink]] = {}
    for key, label, path, group, admin_only in _PAGES:
        if admin_only and principal.role != "admin":
            continue
        state = PageState(path, "7d", tenant=tenant)
        href = (
            path if tenant is None or principal.tenant_id is not None or group else state.url().replace("&range=7d", "")
        )
        groups.setdefault(group, []).append(NavLink(label, href, key, key == current, firing if key == "alerts" else 0))
    found = tuple(NavGroup(title, tuple(links)) for title, links in groups.items())
    in_rest = any(link.current for group in found if group.title for link in group.links)
    return Nav(found, principal.name, in_rest)


@dataclass(frozen=True, slots=True)
class Through:
    """Up to when the stream is counted. `state` live | stale."""

    text: str
    state: str
    title: str
    zone: str


def through(data_through: datetime | None, read_at: datetime, shown: PageRange) -> Through:
    if data_through is None:
        return Through("nothing counted yet", "live", "No event has been counted so far.", shown.zone.key)
    local = data_through.astimezone(shown.zone)
    behind = read_at - data_through
    text = f"data through {local:%H:%M:%S}"
    if behind > timedelta(hours=20):
        text = f"data through {local.day} {local:%b %H:%M}"
    title = f"Everything that happened until {local:%Y-%m-%d %H:%M:%S} ({shown.zone.key}) is counted."
    return Through(text, "stale" if behind > _STALE_AFTER else "live", title, shown.zone.key)


@dataclass(frozen=True, slots=True)
class RangeLink:
    label: str
    href: str
    current: bool


@dataclass(frozen=True, slots=True)
class Chip:
    label: str
    value: str
    remove: str


@dataclass(frozen=True, slots=True)
class Bar:
    """The filter bar. `kept` are fields a change of tenant keeps, `kept_for_days` those a custom range keeps."""

    path: str
    tenant: str | None
    tenants: tuple[str, ...]
    all_tenants: bool
    tenant_action: str
    ranges: tuple[RangeLink, ...]
    custom: str
    first_day: str
    last_day: str
    kept: tuple[tuple[str, str], ...]
    kept_for_days: tuple[tuple[str, str], ...]
    chips: tuple[Chip, ...]
    through: Through | None


def filter_bar(
    state: PageState,
    shown: PageRange,
    through_: Through | None,
    tenants: Sequence[str],
    *,
    tenant: str | None,
    ranges: Sequence[RangeName] = OVERVIEW_RANGES,
    tenant_action: str = "/",
    all_tenants: bool = True,
) -> Bar:
    days = () if shown.name != "custom" else (("startDate", str(shown.first_day)), ("endDate", str(shown.last_day)))
    custom = ""
    if shown.name == "custom":
        first, last = shown.first_day, shown.last_day
        custom = f"{first.day} {first:%b}" if first == last else f"{first.day} {first:%b} – {last.day} {last:%b}"
    with_tenant = (("tenant", state.tenant),) if state.tenant is not None else ()
    return Bar(
        path=state.path,
        tenant=tenant,
        tenants=tuple(tenants) if len(tenants) > 1 else (),
        all_tenants=all_tenants,
        tenant_action=tenant_action,
        ranges=tuple(RangeLink(LABELS[name], state.with_range(name), name == shown.name) for name in ranges),
        custom=custom,
        first_day=shown.first_day.isoformat(),
        last_day=shown.last_day.isoformat(),
        kept=(("range", shown.name), *days),
        kept_for_days=(*with_tenant, *state.filters),
        chips=tuple(Chip(CHIPS[name], value, state.without_filter(name)) for name, value in state.filters),
        through=through_,
    )

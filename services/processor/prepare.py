"""The whole path of a flush up to the database, as one literal. Pure but for `tenant_numbers`, which may ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pricing.entries import PriceBook
from services.contracts.rollups import ROLLUPS, USAGE
from services.processor.admit import admit
from services.processor.batch import Decoded, Message
from services.processor.copying import (
    IDENTITY_COLUMNS,
    RUN_COLUMNS,
    UNPRICED_COLUMNS,
    CopyData,
    event_columns,
    rollup_columns,
    to_copy,
)
from services.processor.decode import decode
from services.processor.fold import RowCounts, fold, row_counts, runs
from services.processor.identify import identify
from services.processor.price import price
from services.processor.spikes import SeriesHour, touched_series

TenantNumbers = Callable[[Sequence[str]], Mapping[str, int]]


@dataclass(slots=True)
class Flush:
    """A prepared flush: `decoded` says what came and what became of it, the rest is ready to be sent to COPY."""

    decoded: Decoded
    identities: CopyData = ()
    events: CopyData = ()
    # Which columns of `usage_event` these are.
    event_columns: tuple[str, ...] = ()
    rollups: dict[str, CopyData] = field(default_factory=dict)
    rollup_rows: RowCounts = field(default_factory=dict)
    runs: CopyData = ()
    # What the book had no price for, in line to be healed.
    unpriced: CopyData = ()
    # Start of each minute touched, epoch microseconds, ascending.
    minutes: tuple[int, ...] = ()
    # What detection looks at once this is committed.
    touched: frozenset[SeriesHour] = frozenset()
    # Whether what was counted before has been left out, as far as it was known.
    screened: bool = False

    @property
    def count(self) -> int:
        return len(self.decoded.table)


def prepare(
    messages: Sequence[Message],
    book: PriceBook,
    tenant_numbers: TenantNumbers,
    screen: Callable[[Decoded], bool] = lambda _: False,
) -> Flush:
    """decode → admit → identify → screen → price → number → fold → encode.

    `screen` may leave out what was counted before; it says whether it looked.
    """
    decoded = decode(messages)
    admit(decoded)
    identify(decoded)
    screened = screen(decoded)
    price(decoded, book)
    number(decoded, tenant_numbers)
    return replace(encode(decoded), screened=screened)


def number(decoded: Decoded, tenant_numbers: TenantNumbers) -> None:
    """Adds `tenant_no`, the tenants' short names in the database."""
    decoded.table = decoded.table.append_column("tenant_no", tenant_column(decoded.table, tenant_numbers))


def tenant_column(events: pa.Table, tenant_numbers: TenantNumbers) -> pa.Array:
    """The number of each row's tenant, int32."""
    tenants = events.column("tenant_id").combine_chunks().dictionary_encode()
    names = tenants.dictionary.to_pylist()
    numbers = tenant_numbers(names) if names else {}
    by_code = np.array([numbers[name] for name in names], dtype=np.int32)
    return pa.array(by_code[np.asarray(tenants.indices, dtype=np.int64)] if names else np.zeros(0, dtype=np.int32))


def encode(decoded: Decoded) -> Flush:
    """Folds and encodes what is left of a flush; called again when the database finds rows to leave out."""
    table = decoded.table
    if not len(table):
        return Flush(decoded)
    folded, touched_runs = fold(table), runs(table)
    unpriced = table.select(UNPRICED_COLUMNS).filter(table.column("unpriced"))
    minutes = np.unique(
        np.asarray(table.column("occurred_at").cast(pa.int64()), dtype=np.int64) // 60_000_000 * 60_000_000
    )
    columns = event_columns(table)
    return Flush(
        decoded,
        identities=to_copy(table, IDENTITY_COLUMNS),
        events=to_copy(table, columns),
        event_columns=columns,
        rollups={
            r.base_table: to_copy(folded[r.base_table], rollup_columns(r)) for r in ROLLUPS if len(folded[r.base_table])
        },
        rollup_rows=row_counts(folded),
        runs=to_copy(touched_runs, RUN_COLUMNS) if len(touched_runs) else (),
        unpriced=to_copy(unpriced, UNPRICED_COLUMNS) if len(unpriced) else (),
        minutes=tuple(minutes.tolist()),
        touched=_touched(folded[USAGE.base_table]),
    )


def _touched(minute_rows: pa.Table) -> frozenset[SeriesHour]:
    keys = minute_rows.select(["tenant_no", "feature", "bucket"])
    hours = keys.set_column(2, "bucket", pc.floor_temporal(keys.column("bucket"), unit="hour"))
    distinct = hours.group_by(["tenant_no", "feature", "bucket"]).aggregate([])
    columns = (distinct.column(name).to_pylist() for name in ("tenant_no", "feature", "bucket"))
    return frozenset(touched_series(zip(*columns, strict=True)))

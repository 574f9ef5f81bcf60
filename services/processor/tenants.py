"""Tenant ids → their short numbers, made at first sight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg

_REMEMBERED_MAX = 100_000


class Tenants:
    """Looks numbers up and remembers them: a tenant's number never changes. Not thread-safe.

    A tenant is committed apart from the flush that met it first: a tenant without events hurts nobody.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._known: dict[str, int] = {}

    def numbers(self, tenant_ids: Sequence[str]) -> Mapping[str, int]:
        """The number of each; raises psycopg.OperationalError while the database is away."""
        new = [tenant_id for tenant_id in tenant_ids if tenant_id not in self._known]
        if new:
            if len(self._known) + len(new) > _REMEMBERED_MAX:
                self._known.clear()
                new = list(tenant_ids)
            self._look_up(new)
        return {tenant_id: self._known[tenant_id] for tenant_id in tenant_ids}

    def _look_up(self, tenant_ids: list[str]) -> None:
        with psycopg.connect(self._dsn, autocommit=True, application_name="processor-tenants") as connection:
            connection.execute(
                "INSERT INTO tenant (tenant_id, name) SELECT t, t FROM unnest(%s::text[]) AS t ORDER BY t "
                "ON CONFLICT (tenant_id) DO NOTHING",
                (tenant_ids,),
            )
            rows = connection.execute(
                "SELECT tenant_id, tenant_no FROM tenant WHERE tenant_id = ANY(%s)", (tenant_ids,)
            )
            self._known.update(dict(rows.fetchall()))

"""Names of what keeps tenants apart in SQL (`deploy/timescale/isolation.sql`)."""

from __future__ import annotations

# Views that show one tenant, under the names of the tables.
SCHEMA = "isolated"
# Reads through those views the tenant that this setting of the transaction names.
API_ROLE = "spendstream_api"
TENANT_SETTING = "spendstream.tenant_id"
# What the login roles of tenants' Grafana are members of.
GRAFANA_ROLE = "spendstream_grafana"

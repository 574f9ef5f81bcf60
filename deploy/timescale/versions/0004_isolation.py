"""Tenants apart in SQL: roles, views, functions; nothing for PUBLIC."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import text

from deploy.timescale.isolation import privilege_statements, role_statements, view_statements

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for statement in role_statements():
        op.execute(statement)
    op.execute(text(Path(__file__).parent.with_name("isolation.sql").read_text().replace(":", "\\:")))
    for statement in (*view_statements(), *privilege_statements()):
        op.execute(statement)

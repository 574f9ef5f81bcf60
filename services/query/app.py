"""The app: routers, problems, edge. Built by main and by tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.query.api import (
    admin,
    admin_log,
    alerts,
    audit,
    budgets,
    costs,
    docs,
    entities,
    health,
    keys,
    portal,
    price_overrides,
    prices,
    requests,
    session,
    stream,
    tenants,
    tracking,
)
from services.query.api.description import install_description
from services.query.api.problems import install_problems
from services.query.edge import Edge
from services.query.pages import routes as pages
from services.query.parts import QueryParts

# In the order in which their paths are tried.
_ROUTERS = (
    health, session, docs, costs, entities, requests, tenants, keys, portal, tracking, budgets, alerts, admin, audit,
    admin_log, prices, price_overrides, stream,
)  # fmt: skip


def build_app(parts: QueryParts) -> FastAPI:
    """The app over opened-by-lifespan pools of `parts`."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await parts.reads.open(wait=False)
        await parts.writes.open(wait=False)
        yield
        await parts.reads.close()
        await parts.writes.close()

    app = FastAPI(
        title="Spendstream", summary="What AI calls cost, who spends, on what, and why that changed.", version="1",
        lifespan=lifespan, docs_url=None, redoc_url=None,
    )  # fmt: skip
    app.state.parts = parts
    install_problems(app)
    install_description(app)
    for module in _ROUTERS:
        app.include_router(module.router)
    pages.install(app)
    app.add_middleware(Edge)
    return app

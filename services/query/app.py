"""The app: routers, problems, edge. Built by main and by tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec

from fastapi import FastAPI

from services.query.api import admin_log, costs, entities, health, keys, requests, session, tenants
from services.query.api.problems import install_problems
from services.query.edge import Edge
from services.query.parts import QueryParts

_PAGES = "services.query.pages.routes"


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
    for module in (health, session, costs, entities, requests, tenants, keys, admin_log):
        app.include_router(module.router)
    _include_pages(app)
    app.add_middleware(Edge)
    return app


def _include_pages(app: FastAPI) -> None:
    """The pages, where this deployment has them."""
    if find_spec("services.query.pages") is None or find_spec(_PAGES) is None:
        return
    pages = import_module(_PAGES)
    install = getattr(pages, "install", None)
    if install is not None:
        install(app)
    else:
        app.include_router(pages.router)

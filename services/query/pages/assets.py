"""Static files: our own, and an allow-list of what npm's lock file brought. Nothing comes from elsewhere."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from services.query.pages.templating import STATIC

MODULES: Final = STATIC.parent / "web" / "node_modules"
_INTER: Final = "@fontsource-variable/inter/files"
# Public name -> file below node_modules. What isn't named here is not served.
VENDOR: Final[dict[str, str]] = {
    "echarts/echarts.min.js": "echarts/dist/echarts.min.js",
    "htmx/htmx.min.js": "htmx.org/dist/htmx.min.js",
    "idiomorph/idiomorph-ext.min.js": "idiomorph/dist/idiomorph-ext.min.js",
    "inter/inter-latin-wght-normal.woff2": f"{_INTER}/inter-latin-wght-normal.woff2",
    "inter/inter-latin-ext-wght-normal.woff2": f"{_INTER}/inter-latin-ext-wght-normal.woff2",
    "swagger-ui/swagger-ui-bundle.js": "swagger-ui-dist/swagger-ui-bundle.js",
    "swagger-ui/swagger-ui.css": "swagger-ui-dist/swagger-ui.css",
    "swagger-ui/favicon-32x32.png": "swagger-ui-dist/favicon-32x32.png",
}
_OWN: Final = frozenset({".css", ".js", ".svg"})
_HEADERS: Final = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}
_TYPES: Final = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".png": "image/png",
}

router = APIRouter(include_in_schema=False)


@router.get("/static/vendor/{name:path}")
async def vendor_file(name: str) -> Response:
    """A library's file. 404 for all that isn't on the list, or isn't installed."""
    file = MODULES / VENDOR[name] if name in VENDOR else None
    if file is None or not file.is_file():
        return Response("not found", 404, media_type="text/plain")
    return FileResponse(file, headers=_HEADERS, media_type=_TYPES[file.suffix])


@router.get("/static/{name:path}")
async def own_file(name: str) -> Response:
    """A file of ours."""
    file = (STATIC / name).resolve()
    if not file.is_relative_to(STATIC) or file.suffix not in _OWN or not file.is_file():
        return Response("not found", 404, media_type="text/plain")
    return FileResponse(file, headers=_HEADERS, media_type=_TYPES[file.suffix])

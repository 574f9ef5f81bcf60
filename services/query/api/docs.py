"""/docs: the OpenAPI as a page, from files of our own; nothing is loaded from elsewhere."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

router = APIRouter(include_in_schema=False)
_VENDOR = "/static/vendor/swagger-ui"
_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API · Spendstream</title>
<link rel="icon" href="{_VENDOR}/favicon-32x32.png">
<link rel="stylesheet" href="{_VENDOR}/swagger-ui.css">
</head>
<body>
<div id="api"><noscript>The description for machines is at <a href="/openapi.json">/openapi.json</a>.</noscript></div>
<script src="{_VENDOR}/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = 'SwaggerUIBundle({ url: "/openapi.json", dom_id: "#api", deepLinking: true, tryItOutEnabled: true });\n'
# Swagger UI styles its parts inline.
_POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"


@router.get("/docs")
async def get_docs() -> Response:
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/start.js")
async def get_docs_start() -> Response:
    return Response(_START, media_type="text/javascript")

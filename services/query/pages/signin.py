"""The sign-in as a page; who signs in and how is `services.query.api.session`'s business."""

from __future__ import annotations

from fastapi import Request, Response

from services.query.pages.answers import page


async def sign_in_page(request: Request, said: str, after: str, status: int) -> Response:
    """The form. `said` is what was wrong with the last attempt, `after` the path to go on to."""
    return page(request, "sign_in.html", {"next": after, "fault": said}, status)

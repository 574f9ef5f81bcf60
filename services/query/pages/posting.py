"""What a form sent, and the answer to it: the list again with a word of what was done."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from services.query.api.problems import Problem
from services.query.pages.answers import PAGE_HEADERS

_FIELDS_MAX: Final = 50
# What `?done=` may say: a link must not put words of its own on a page.
DONE: Final = {
    "made": "Made.",
    "changed": "Changed.",
    "deleted": "Deleted.",
    "tested": "A test is on its way to each channel of the alert; the history shows what became of it.",
    "untested": "Noted as a test. The alert has no channel of its own to send it to.",
    "silenced": "Silenced: it goes on being looked at, and tells nobody until then.",
    "woken": "It tells again.",
}


async def fields_of(request: Request) -> dict[str, str]:
    """Problem 400 for what no form of ours sends."""
    try:
        found = parse_qs(
            (await request.body()).decode("utf-8"), keep_blank_values=True, max_num_fields=_FIELDS_MAX, errors="strict"
        )
    except ValueError:
        raise Problem(400, "This is not what the form sends.") from None
    return {name: values[0].strip() for name, values in found.items()}


def done(path: str, what: str) -> Response:
    """Back to the list, by GET: to load the page again does not do the thing again."""
    assert what in DONE
    return RedirectResponse(f"{path}?done={what}", 303, PAGE_HEADERS)


def done_words(request: Request) -> str:
    return DONE.get(request.query_params.get("done", ""), "")

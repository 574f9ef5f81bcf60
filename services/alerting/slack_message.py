"""A notice as a Slack message: Block Kit within Slack's limits, and nothing in it that a caller's name could turn into
markup, a mention or a link. Pure.

Limits (docs.slack.dev, Block Kit reference): 50 blocks; header 150, section text 3,000, field 2,000, button 75 and URL
3,000 characters; 10 fields.
"""

from __future__ import annotations

import re
from typing import Any

from services.alerting.notice import Contributor, Figure, Notice

HEADER_MAX, SECTION_MAX, FIELD_MAX, FIELDS_MAX, URL_MAX = 150, 3_000, 2_000, 10, 3_000
# Of one name in a list; ids may be up to 200 characters.
_NAME_MAX = 80
_BUTTON = "Open in Spendstream"
_MENTION = re.compile(r"@(?=channel|here|everyone)", re.IGNORECASE)
# Keeps a mention from being one without changing how it looks.
_WORD_JOINER = "\u2060"


def slack_payload(notice: Notice) -> dict[str, Any]:
    """The body for an incoming webhook. `text` is what notifications and screen readers show."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(notice.title, HEADER_MAX)},
        {"type": "section", "text": _plain(notice.because, SECTION_MAX)},
    ]
    if notice.figures:
        blocks.append({"type": "section", "fields": [_field(figure) for figure in notice.figures[:FIELDS_MAX]]})
    if notice.contributors:
        lines = "\n".join(_line(place, one) for place, one in enumerate(notice.contributors, start=1))
        blocks.append({"type": "section", "text": _markdown(f"*Where it comes from*\n{lines}")})
    if len(notice.view_url) <= URL_MAX:
        button = {"type": "button", "text": _plain(_BUTTON, 75), "url": notice.view_url, "action_id": "open_view"}
        blocks.append({"type": "actions", "elements": [button]})
    text = escape(_cut(f"{notice.title}. {notice.because}", SECTION_MAX // 6))
    return {"text": text, "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def escape(text: str) -> str:
    """Text that Slack's markdown shows as it is, as far as escapes go: & < > and the mentions of everybody."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MENTION.sub(f"@{_WORD_JOINER}", text)


def _glued(text: str) -> str:
    """A number and its sign stay on one line, on a watch too."""
    return text.replace(" %", "\u00a0%").replace(" ×", "\u00a0×")


def _plain(text: str, limit: int) -> dict[str, Any]:
    # Plain text knows no markup, so it needs no escapes; the joiner only guards against clients that look for mentions.
    return {"type": "plain_text", "text": _cut(_glued(_MENTION.sub(f"@{_WORD_JOINER}", text)), limit), "emoji": False}


def _markdown(text: str) -> dict[str, Any]:
    # Verbatim: names are not searched for links, channels and mentions.
    return {"type": "mrkdwn", "text": _glued(text), "verbatim": True}


def _field(figure: Figure) -> dict[str, Any]:
    return _markdown(f"*{escape(figure.label)}*\n{escape(_cut(figure.value, FIELD_MAX // 8))}")


def _line(place: int, contributor: Contributor) -> str:
    names = " · ".join(_code(name) for name in contributor.names)
    return f"{place}. {names}  {escape(contributor.text)}"


def _code(name: str) -> str:
    """In code nothing is markup; a back-tick would end it, a line break would end the list."""
    return f"`{escape(_cut(' '.join(name.replace('`', 'ˋ').split()) or ' ', _NAME_MAX))}`"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"

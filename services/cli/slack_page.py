"""Received Slack messages as Slack would render them: Block Kit to HTML, nothing loaded from elsewhere. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

Message = dict[str, Any]
Block = dict[str, Any]

_CODE = re.compile(r"`([^`\n]+)`")
_BOLD = re.compile(r"(?<![\w*])\*([^*\n]+)\*(?![\w*])")
_LINK = re.compile(r"<(https?://[^|<>\s]+)(?:\|([^<>]*))?>")
_MENTION = re.compile(r"<(!(?:channel|here|everyone))(?:\|[^<>]*)?>")

_STYLE = """
:root{--bg:#fff;--ink:#1d1c1d;--soft:#616061;--line:#dddddd;--code:#c01343;--code-bg:#f6f6f6;--hover:#f8f8f8;--rail:#3f0e40;
--link:#1264a3;color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{--bg:#1a1d21;--ink:#d1d2d3;--soft:#ababad;--line:#35373b;--code:#e8912d;
--code-bg:#232529;--hover:#222529;--rail:#19171d;--link:#1d9bd1}}
*{box-sizing:border-box}body{margin:0;font:15px/1.46668 Lato,"Helvetica Neue",Helvetica,Arial,sans-serif;
background:var(--bg);color:var(--ink)}
header{position:sticky;top:0;background:var(--rail);color:#fff;padding:12px 20px;display:flex;gap:12px;
align-items:baseline;flex-wrap:wrap}header h1{font-size:18px;margin:0}header span{opacity:.8;font-size:13px}
main{max-width:760px;margin:0 auto;padding:12px 0 48px}
article{display:flex;gap:8px;padding:12px 20px}article:hover{background:var(--hover)}
.app{flex:none;width:36px;height:36px;border-radius:6px;background:#4338ca;display:grid;place-items:center}
.body{min-width:0;flex:1}.who{font-weight:900}.badge{font-size:10px;font-weight:700;background:var(--line);border-radius:2px;
padding:1px 4px;margin:0 6px;vertical-align:1px}time{color:var(--soft);font-size:12px}
h2{font-size:18px;line-height:1.33;font-weight:900;margin:8px 0;overflow-wrap:anywhere}
.section{margin:8px 0;overflow-wrap:anywhere;white-space:pre-wrap}
.fields{display:grid;grid-template-columns:1fr 1fr;gap:8px 16px;margin:8px 0}@media(max-width:380px){.fields{gap:8px}}
.fields div{overflow-wrap:anywhere;white-space:pre-wrap;min-width:0}
code{font:12px/1.5 Monaco,Menlo,Consolas,"Courier New",monospace;color:var(--code);background:var(--code-bg);
border:1px solid var(--line);border-radius:3px;padding:2px 3px 1px;white-space:pre-wrap}
a{color:var(--link)}a.button{display:inline-block;border:1px solid var(--line);border-radius:4px;padding:5px 12px;
font-weight:700;color:var(--ink);text-decoration:none;margin:4px 8px 8px 0}a.button:hover{background:var(--hover)}
hr{border:0;border-top:1px solid var(--line);margin:12px 0}.context{color:var(--soft);font-size:13px;margin:8px 0}
mark{background:#f2c74466;color:inherit;border-radius:3px;padding:0 2px}
.empty{padding:64px 20px;text-align:center;color:var(--soft)}
"""

# A wave, as in the product's own mark.
_MARK = (
    '<svg width="22" height="22" viewBox="0 0 20 20" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round">'
    '<path d="M2 13c3 0 3-6 6-6s3 8 6 8 2-4 4-4"/></svg>'
)

# Swaps the list for the newest one without losing the place; the page works without it.
_SCRIPT = """
setInterval(async()=>{try{const t=await(await fetch(location.href)).text();
const d=new DOMParser().parseFromString(t,"text/html").querySelector("main");const m=document.querySelector("main");
if(d&&d.innerHTML!==m.innerHTML)m.replaceWith(d)}catch(e){}},2000)
"""


def page(messages: Sequence[Message]) -> str:
    """`messages` are `{"received_at": RFC 3339, "payload": …}`, oldest first; shown newest first."""
    items = "".join(_message(message) for message in reversed(messages))
    empty = '<p class="empty">Nothing yet. An alert appears here the moment it is sent.</p>'
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>What Slack would show</title><style>{_STYLE}</style></head><body>"
        "<header><h1># spend-alerts</h1><span>What Slack would show. Nothing has left this machine.</span>"
        f"</header><main>{items or empty}</main><script>{_SCRIPT}</script></body></html>"
    )


def _message(message: Message) -> str:
    received = str(message.get("received_at", ""))
    payload = message.get("payload")
    return (
        f'<article><div class="app">{_MARK}</div><div class="body"><span class="who">Spendstream</span>'
        f'<span class="badge">APP</span><time datetime="{html.escape(received)}">{_clock(received)}</time>'
        f"{_payload(payload)}</div></article>"
    )


def _payload(payload: object) -> str:
    if not isinstance(payload, dict):
        return f'<div class="section">{html.escape(str(payload))}</div>'
    blocks = payload.get("blocks")
    if not isinstance(blocks, list) or not blocks:
        return f'<div class="section">{markdown(str(payload.get("text", "")))}</div>'
    return "".join(_block(block) for block in blocks if isinstance(block, dict))


def _block(block: Block) -> str:
    kind = _BLOCKS.get(str(block.get("type")))
    return kind(block) if kind is not None else f'<div class="context">({html.escape(str(block.get("type")))})</div>'


def _header(block: Block) -> str:
    return f"<h2>{_text(block.get('text'))}</h2>"


def _section(block: Block) -> str:
    text = f'<div class="section">{_text(block["text"])}</div>' if block.get("text") else ""
    fields = "".join(f"<div>{_text(field)}</div>" for field in block.get("fields") or [])
    return text + (f'<div class="fields">{fields}</div>' if fields else "")


def _actions(block: Block) -> str:
    return "".join(_button(one) for one in block.get("elements") or [] if isinstance(one, dict))


def _button(element: Block) -> str:
    url = str(element.get("url", ""))
    # Only what a browser may open without harm.
    href = f' href="{html.escape(url)}"' if url.startswith(("http://", "https://")) else ""
    return f'<a class="button"{href} rel="noreferrer">{_text(element.get("text"))}</a>'


def _context(block: Block) -> str:
    return f'<div class="context">{" ".join(_text(one) for one in block.get("elements") or [])}</div>'


_BLOCKS: dict[str, Callable[[Block], str]] = {
    "header": _header,
    "section": _section,
    "actions": _actions,
    "context": _context,
    "divider": lambda _block: "<hr>",
}


def _text(text: object) -> str:
    """A text object: plain text as it is, `mrkdwn` rendered."""
    if not isinstance(text, dict):
        return ""
    content = str(text.get("text", ""))
    return markdown(content) if text.get("type") == "mrkdwn" else html.escape(content)


def markdown(text: str) -> str:
    """The part of Slack's markdown that alerts use: bold, code, links, and mentions, which stand out as in Slack."""
    pieces = []
    for place, piece in enumerate(_CODE.split(text)):
        pieces.append(f"<code>{_unescaped(piece)}</code>" if place % 2 else _inline(piece))
    return "".join(pieces)


def _inline(text: str) -> str:
    text = text.replace("\0", "").replace("\1", "")
    pieces, at = [], 0
    for link in _LINK.finditer(text):
        pieces += [_marked(text[at : link.start()])]
        pieces += [f'<a href="{_unescaped(link[1])}" rel="noreferrer">{_unescaped(link[2] or link[1])}</a>']
        at = link.end()
    return "".join([*pieces, _marked(text[at:])])


def _marked(text: str) -> str:
    text = _MENTION.sub(lambda match: f"\0{match[1][1:]}\1", text)
    bold = _BOLD.sub(r"<b>\1</b>", _unescaped(text))
    return re.sub("\0(.*?)\1", r"<mark>@\1</mark>", bold)


def _unescaped(text: str) -> str:
    """Slack's three escapes undone, then safe for HTML."""
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return html.escape(text)


def _clock(received: str) -> str:
    try:
        return f"{datetime.fromisoformat(received):%H:%M:%S %Z}"
    except ValueError:
        return html.escape(received)

"""A notice as an e-mail, text and HTML. Pure."""

from __future__ import annotations

from email.message import EmailMessage
from html import escape
from typing import Any

from services.alerting.notice import Notice

_SUBJECT_MAX = 150


def mail_payload(notice: Notice) -> dict[str, Any]:
    """What the outbox keeps of a mail: subject, text and HTML."""
    figures = "\n".join(f"{figure.label}: {figure.value}" for figure in notice.figures)
    top = "\n".join(f"- {' / '.join(one.names)}: {one.text}" for one in notice.contributors)
    text = "\n\n".join(part for part in (notice.title, notice.because, figures, top, notice.view_url) if part)
    rows = "".join(
        f"<tr><td style='padding-right:16px;color:#666'>{escape(figure.label)}</td><td>{escape(figure.value)}</td></tr>"
        for figure in notice.figures
    )
    items = "".join(
        f"<li><b>{escape(' · '.join(one.names))}</b> {escape(one.text)}</li>" for one in notice.contributors
    )
    html = (
        f"<div style='font:15px/1.45 sans-serif'><h2 style='font-size:18px'>{escape(notice.title)}</h2>"
        f"<p>{escape(notice.because)}</p><table>{rows}</table><ol>{items}</ol>"
        f"<p><a href='{escape(notice.view_url, quote=True)}'>Open in Spendstream</a></p></div>"
    )
    # A line break in a subject would start a header of its own.
    return {"subject": " ".join(notice.title.split())[:_SUBJECT_MAX], "text": text, "html": html}


def mail(payload: dict[str, Any], sender: str, recipient: str, message_id: str) -> EmailMessage:
    """`message_id` is the notification's: a mail sent twice after a crash can be told by it."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = payload["subject"], sender, recipient
    message["Message-ID"] = f"<{message_id}@spendstream>"
    message.set_content(payload["text"])
    message.add_alternative(payload["html"], subtype="html")
    return message

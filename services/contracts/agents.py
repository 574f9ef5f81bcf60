"""Which agent a call belongs to, and what it is called."""

from __future__ import annotations

AGENT_SEGMENT = "agent:"


def agent_of(agent_id: str, section_path: str) -> str:
    """`agent_id` if given, else the first `agent:*` segment of the section path without the prefix, else ''."""
    if agent_id:
        return agent_id
    for segment in section_path.split("/"):
        if segment.startswith(AGENT_SEGMENT) and len(segment) > len(AGENT_SEGMENT):
            return segment[len(AGENT_SEGMENT) :]
    return ""


def default_label(agent_id: str) -> str:
    """An agent's name until an operator sets one: the id with its first letter capitalised, `_` and `-` as blanks."""
    words = agent_id.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:] if words else "(no agent)"

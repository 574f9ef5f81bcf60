"""The same thing has the same colour on every page. Names here are classes of the stylesheet (`c-openai`)."""

from __future__ import annotations

import re
from typing import Final
from zlib import crc32

KNOWN: Final = frozenset(
    [
        "openai",
        "anthropic",
        "google",
        "mistral",
        "ollama",
        "pinecone",
        "azure",
        "bedrock",
        "cohere",
        "deepseek",
        "groq",
        "xai",
        "slack",
        "whatsapp",
        "api",
        "web",
        "email",
        "prompt",
        "completion",
        "rest",
    ]
)
_ALIASES: Final = {
    "azure_openai": "azure", "azure-openai": "azure", "aws": "bedrock", "aws_bedrock": "bedrock", "gemini": "google",
    "vertex_ai": "google", "vertex": "google", "mistralai": "mistral", "x-ai": "xai",
}  # fmt: skip
# Okabe and Ito's set, as --c-1 to --c-6: what has no colour of its own gets one by its name, wherever it appears.
_OTHERS: Final = 6


def colour_class(name: str) -> str:
    """The class of a provider, channel or part; '' (the event said nothing) is grey."""
    key = _ALIASES.get(name.lower(), name.lower())
    if key in KNOWN:
        return f"c-{key}"
    if not re.search(r"\w", key):
        return "c-rest"
    return f"c-{crc32(key.encode()) % _OTHERS + 1}"

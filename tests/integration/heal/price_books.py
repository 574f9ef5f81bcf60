"""Two books: one that lacks a price, and the same with it."""

from __future__ import annotations

_MODEL = """\
      {model}:
        tier: standard
        entries:
          - effective_from: 2020-01-01
            prices: {{input_uncached: "{prompt}", cache_read: "{cached}", output_text: "{completion}"}}
"""
_HEAD = """\
version: "{version}"
units: {{}}
providers:
  openai:
    source: https://example.com/prices
    checked: 2026-11-22
    models:
"""
_MINI = _MODEL.format(model="gpt-4o-mini", prompt="0.15", cached="0.075", completion="0.60")
_BIG = _MODEL.format(model="gpt-4o", prompt="2.50", cached="1.25", completion="10.00")

WITHOUT_GPT_4O = _HEAD.format(version="without") + _MINI
WITH_GPT_4O = _HEAD.format(version="with") + _MINI + _BIG

"""Settings from the environment, and what is said when they are wrong."""

from __future__ import annotations

import sys
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

_Settings = TypeVar("_Settings", bound=BaseSettings)


def read_settings(kind: type[_Settings]) -> _Settings | None:
    """The settings, or None after a line on stderr for each that is missing or wrong; values are never shown."""
    try:
        return kind()
    except ValidationError as error:
        for wrong in error.errors(include_input=False):
            name = f"SPENDSTREAM_{'_'.join(map(str, wrong['loc'])).upper()}: " if wrong["loc"] else ""
            print(f"{name}{wrong['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        return None

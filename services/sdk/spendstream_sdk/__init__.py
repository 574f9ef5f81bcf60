"""Records what AI calls use and hands it to Spendstream in the background; never blocks or breaks the caller."""

from spendstream_sdk.gathering import estimate_tokens
from spendstream_sdk.meter import Meter
from spendstream_sdk.sender import Limits
from spendstream_sdk.stats import Stats

__all__ = ["Limits", "Meter", "Stats", "estimate_tokens"]
__version__ = "0.1.0"

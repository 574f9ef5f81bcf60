"""Records what AI calls use and hands it to Spendstream in the background; never blocks or breaks the caller."""

from spendstream_sdk.meter import Meter
from spendstream_sdk.stats import Stats

__all__ = ["Meter", "Stats"]
__version__ = "0.1.0"

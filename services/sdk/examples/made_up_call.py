"""Records a made-up agent run; needs no key of any AI vendor.

    python services/sdk/examples/made_up_call.py --url http://127.0.0.1:8080 --key KEY --tenant acme-corp

KEY is an ingest key of that tenant, or the admin key that `make run` shows.
"""

from __future__ import annotations

import argparse
import os
import time

from spendstream_sdk import Meter


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default=os.environ.get("SPENDSTREAM_GATEWAY_URL", "http://127.0.0.1:8080"))
    parser.add_argument("--key", default=os.environ.get("SPENDSTREAM_KEY") or os.environ.get("SPENDSTREAM_ADMIN_KEY"))
    parser.add_argument("--tenant", default="example")
    options = parser.parse_args()
    if not options.key:
        parser.error("give --key or set SPENDSTREAM_KEY")

    with Meter(options.url, options.key, options.tenant, defaults={"feature": "research"}) as meter:
        with meter.run("research_assistant"):
            with meter.section("tool:search"):
                meter.record(
                    provider="openai", model="text-embedding-3-small", prompt_tokens=42, operation="embeddings"
                )
                meter.record(provider="pinecone", model="serverless", units={"read_units": 6}, operation="retrieval")
            started = time.monotonic()
            time.sleep(0.05)  # here a model would think
            latency_ms = round((time.monotonic() - started) * 1_000)
            meter.record(
                provider="openai",
                model="gpt-4o-mini",
                prompt_tokens=1_850,
                cached_tokens=1_024,
                completion_tokens=240,
                customer_id="alice",
                latency_ms=latency_ms,
            )
        meter.flush()
        print(meter.stats())
        return 0 if meter.stats().sent == 3 else 1


if __name__ == "__main__":
    raise SystemExit(main())

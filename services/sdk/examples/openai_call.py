"""Makes one real call to OpenAI and records what it used: `pip install openai`, OPENAI_API_KEY and SPENDSTREAM_KEY set.

python services/sdk/examples/openai_call.py "Why is the sky blue?"
"""

from __future__ import annotations

import os
import sys
import time

from openai import OpenAI, OpenAIError

from spendstream_sdk import Meter

MODEL = "gpt-4o-mini"


def main() -> int:
    question = " ".join(sys.argv[1:]) or "Say hello in five words."
    key = os.environ.get("SPENDSTREAM_KEY", "")
    if not key or not os.environ.get("OPENAI_API_KEY"):
        print("Set OPENAI_API_KEY, and SPENDSTREAM_KEY to an ingest key", file=sys.stderr)
        return 2
    url = os.environ.get("SPENDSTREAM_GATEWAY_URL", "http://127.0.0.1:8080")
    with Meter(url, key, os.environ.get("SPENDSTREAM_TENANT", "example")) as meter:
        with meter.run("question_answerer"):
            started = time.monotonic()
            try:
                answer = OpenAI().chat.completions.create(model=MODEL, messages=[{"role": "user", "content": question}])
            except OpenAIError as error:
                print(error, file=sys.stderr)
                return 1
            latency_ms = round((time.monotonic() - started) * 1_000)
            meter.record(answer, feature="examples", latency_ms=latency_ms)
        print(answer.choices[0].message.content)
        meter.flush()
        print(meter.stats())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

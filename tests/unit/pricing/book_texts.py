"""A small right book; tests make it wrong one place at a time."""

RIGHT = """\
version: "1"
units:
  web_searches: a search
provider_aliases:
  - {match: [azure], provider: openai, reason: "same list price"}
tenants:
  acme:
    - {provider: openai, model: "*", effective_from: 2026-02-01, effective_until: 2027-01-01,
       multiplier: "0.9", reason: "contract 7"}
    - provider: openai
      model: small
      effective_from: 2026-03-01
      reason: "contract 8"
      prices: {input_uncached: "0.10"}
providers:
  openai:
    source: https://example.com/prices
    checked: 2026-11-22
    rules:
      - {match: big-2026-01-01, model: big, reason: "a snapshot"}
      - {match: "big-mini-*", model: small, reason: "previews of small"}
      - {match: "big-*", model: big, reason: "other snapshots"}
    models:
      big:
        tier: premium
        entries:
          - effective_from: 2025-01-01
            effective_until: 2025-07-01
            gap: "withdrawn for half a year"
            prices: {input_uncached: "10", output_text: "30"}
          - effective_from: 2026-01-01T16:00:00Z
            prices: {input_uncached: "2.50", cache_read: "1.25", output_text: "10.00", output_reasoning: output_text}
            units: {web_searches: {usd: "10.00", per: 1000}}
            long_context:
              - above_prompt_tokens: 1000
                prices: {input_uncached: "5.00", cache_read: "2.50", output_text: "15", output_reasoning: output_text}
            service_tiers:
              batch: {multiplier: "0.5"}
              priority: {prices: {input_uncached: "4", cache_read: "2", output_text: "20", output_reasoning: "20"}}
            regions:
              - {match: [eu, eu-west-1], multiplier: "1.1"}
              - match: us-gov
                prices: {input_uncached: "3", cache_read: "1.5", output_text: "12", output_reasoning: output_text}
                service_tiers:
                  priority: {prices: {input_uncached: "6", cache_read: "3", output_text: "24", output_reasoning: "24"}}
      small:
        tier: cheap
        entries:
          - effective_from: 2025-01-01
            prices: {input_uncached: "0.15"}
"""

-- source: provider
--    15m 2026-06-30 18:15:00 .. 2026-06-30 19:00:00, wide
--   hour 2026-06-30 19:00:00 .. 2026-07-01 00:00:00
--    day 2026-07-01 00:00:00 .. 2026-07-31 00:00:00
--   hour 2026-07-31 00:00:00 .. 2026-07-31 18:00:00
--    15m 2026-07-31 18:00:00 .. 2026-07-31 19:00:00, wide
--   hour 2026-07-31 19:00:00 .. 2026-08-01 00:00:00
-- … 5 more
--   hour 2026-09-30 00:00:00 .. 2026-09-30 18:00:00
--    15m 2026-09-30 18:00:00 .. 2026-09-30 19:00:00, wide
--   hour 2026-09-30 19:00:00 .. 2026-10-01 00:00:00
--    day 2026-10-01 00:00:00 .. 2026-10-31 00:00:00
--   hour 2026-10-31 00:00:00 .. 2026-10-31 18:00:00
--    15m 2026-10-31 18:00:00 .. 2026-10-31 18:15:00, wide
-- p0: 4 values, 2026-06-30 18:15:00+00:00 .. 2026-09-30 18:15:00+00:00
-- p1: 2026-06-30 18:15:00+00:00
-- p2: 2026-10-31 18:15:00+00:00
-- p3: 16 values, 2026-06-30 18:15:00+00:00 .. 2026-10-31 18:00:00+00:00
-- p4: 2026-06-30 19:00:00+00:00
-- p5: 2026-10-31 18:00:00+00:00
-- p6: 92 values, 2026-06-30 19:00:00+00:00 .. 2026-10-31 17:00:00+00:00
-- p7: 2026-07-01 00:00:00+00:00
-- p8: 2026-10-31 00:00:00+00:00
-- p9: 3 values, 2026-07-31 00:00:00+00:00 .. 2026-09-30 00:00:00+00:00
SELECT slot, provider, coalesce(sum(billed_pico_usd), 0)::numeric AS billed_pico_usd, coalesce(sum(adjustment_pico_usd), 0)::numeric AS adjustment_pico_usd, coalesce(sum(unpriced_events), 0)::numeric AS unpriced_events, coalesce(sum(late_events), 0)::numeric AS late_events FROM (
  SELECT width_bucket(bucket, %(p0)s::timestamptz[]) AS slot, provider, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM usage_15m WHERE bucket >= %(p1)s AND bucket < %(p2)s AND bucket = ANY(%(p3)s::timestamptz[]) AND tenant_no = 7 GROUP BY 1, 2
  UNION ALL
  SELECT width_bucket(bucket, %(p0)s::timestamptz[]) AS slot, provider, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM provider_hour WHERE bucket >= %(p4)s AND bucket < %(p5)s AND bucket = ANY(%(p6)s::timestamptz[]) AND tenant_no = 7 GROUP BY 1, 2
  UNION ALL
  SELECT width_bucket(bucket, %(p0)s::timestamptz[]) AS slot, provider, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM provider_day WHERE bucket >= %(p7)s AND bucket < %(p8)s AND bucket <> ALL(%(p9)s::timestamptz[]) AND tenant_no = 7 GROUP BY 1, 2
) AS part GROUP BY slot, provider
LIMIT 20001

-- source: provider
--   hour 2026-10-01 00:00:00 .. 2026-10-20 10:00:00
--    15m 2026-10-20 10:00:00 .. 2026-10-20 10:15:00, wide
-- minute 2026-10-20 10:15:00 .. 2026-10-20 10:45:00, wide
--    15m 2026-10-20 10:45:00 .. 2026-10-20 11:00:00, wide
--   hour 2026-10-20 11:00:00 .. 2026-11-01 00:00:00
-- p0: 744 values, 2026-10-01 00:00:00+00:00 .. 2026-10-31 23:00:00+00:00
-- p1: 2026-10-01 00:00:00+00:00
-- p2: 2026-10-20 10:00:00+00:00
-- p3: 2026-10-20 11:00:00+00:00
-- p4: 2026-11-01 00:00:00+00:00
-- p5: 2026-10-20 10:00:00+00:00
-- p6: 2026-10-20 10:15:00+00:00
-- p7: 2026-10-20 10:45:00+00:00
-- p8: 2026-10-20 11:00:00+00:00
-- p9: 2026-10-20 10:15:00+00:00
-- p10: 2026-10-20 10:45:00+00:00
SELECT slot, provider, coalesce(sum(billed_pico_usd), 0)::numeric AS billed_pico_usd, coalesce(sum(adjustment_pico_usd), 0)::numeric AS adjustment_pico_usd, coalesce(sum(latency_sum_ms), 0)::numeric AS latency_sum_ms, coalesce(sum(latency_count), 0)::numeric AS latency_count, coalesce(sum(unpriced_events), 0)::numeric AS unpriced_events, coalesce(sum(late_events), 0)::numeric AS late_events FROM (
  SELECT width_bucket(bucket, %(p0)s::timestamptz[]) AS slot, provider, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(latency_sum_ms) AS latency_sum_ms, sum(latency_count) AS latency_count, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM provider_hour WHERE bucket >= %(p1)s AND bucket < %(p2)s AND tenant_no = 7 GROUP BY 1, 2
  UNION ALL
  SELECT width_bucket(bucket, %(p0)s::timestamptz[]) AS slot, provider, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(latency_sum_ms) AS latency_sum_ms, sum(latency_count) AS latency_count, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM provider_hour WHERE bucket >= %(p3)s AND bucket < %(p4)s AND tenant_no = 7 GROUP BY 1, 2
  UNION ALL
  SELECT width_bucket(bucket, %(p0)s::timestamptz[]) AS slot, provider, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(latency_sum_ms) AS latency_sum_ms, sum(latency_count) AS latency_count, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM usage_15m WHERE bucket >= %(p5)s AND bucket < %(p6)s AND tenant_no = 7 GROUP BY 1, 2
  UNION ALL
  SELECT width_bucket(bucket, %(p0)s::timestamptz[]) AS slot, provider, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(latency_sum_ms) AS latency_sum_ms, sum(latency_count) AS latency_count, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM usage_15m WHERE bucket >= %(p7)s AND bucket < %(p8)s AND tenant_no = 7 GROUP BY 1, 2
  UNION ALL
  SELECT width_bucket(bucket, %(p0)s::timestamptz[]) AS slot, provider, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(latency_sum_ms) AS latency_sum_ms, sum(latency_count) AS latency_count, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM usage_minute WHERE bucket >= %(p9)s AND bucket < %(p10)s AND tenant_no = 7 GROUP BY 1, 2
) AS part GROUP BY slot, provider
LIMIT 20001

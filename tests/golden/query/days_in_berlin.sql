-- source: channel
--   hour 2026-09-30 22:00:00 .. 2026-10-31 23:00:00
-- p0: 31 values, 2026-09-30 22:00:00+00:00 .. 2026-10-30 23:00:00+00:00
-- p1: 2026-09-30 22:00:00+00:00
-- p2: 2026-10-31 23:00:00+00:00
SELECT slot, coalesce(sum(billed_pico_usd), 0)::numeric AS billed_pico_usd, coalesce(sum(adjustment_pico_usd), 0)::numeric AS adjustment_pico_usd, coalesce(sum(unpriced_events), 0)::numeric AS unpriced_events, coalesce(sum(late_events), 0)::numeric AS late_events FROM (
  SELECT width_bucket(bucket, %(p0)s::timestamptz[]) AS slot, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM channel_hour WHERE bucket >= %(p1)s AND bucket < %(p2)s AND tenant_no = 7 GROUP BY 1
) AS part GROUP BY slot
LIMIT 20001

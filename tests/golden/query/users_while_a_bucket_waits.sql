-- source: spender
--    day 2026-10-01 00:00:00 .. 2026-10-20 00:00:00
--   hour 2026-10-20 00:00:00 .. 2026-10-20 10:00:00
--   hour 2026-10-20 10:00:00 .. 2026-10-20 11:00:00, wide
--   hour 2026-10-20 11:00:00 .. 2026-10-21 00:00:00
--    day 2026-10-21 00:00:00 .. 2026-11-01 00:00:00
-- p0: 2026-10-01 00:00:00+00:00
-- p1: 2026-10-20 00:00:00+00:00
-- p2: 2026-10-21 00:00:00+00:00
-- p3: 2026-11-01 00:00:00+00:00
-- p4: 2026-10-20 00:00:00+00:00
-- p5: 2026-10-20 10:00:00+00:00
-- p6: 2026-10-20 11:00:00+00:00
-- p7: 2026-10-21 00:00:00+00:00
-- p8: 2026-10-20 10:00:00+00:00
-- p9: 2026-10-20 11:00:00+00:00
SELECT * FROM (
SELECT user_id, coalesce(sum(billed_pico_usd), 0)::numeric AS billed_pico_usd, coalesce(sum(adjustment_pico_usd), 0)::numeric AS adjustment_pico_usd, coalesce(sum(unpriced_events), 0)::numeric AS unpriced_events, coalesce(sum(late_events), 0)::numeric AS late_events FROM (
  SELECT user_id, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM spender_day WHERE bucket >= %(p0)s AND bucket < %(p1)s AND tenant_no = 7 GROUP BY 1
  UNION ALL
  SELECT user_id, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM spender_day WHERE bucket >= %(p2)s AND bucket < %(p3)s AND tenant_no = 7 GROUP BY 1
  UNION ALL
  SELECT user_id, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM spender_hour WHERE bucket >= %(p4)s AND bucket < %(p5)s AND tenant_no = 7 GROUP BY 1
  UNION ALL
  SELECT user_id, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM spender_hour WHERE bucket >= %(p6)s AND bucket < %(p7)s AND tenant_no = 7 GROUP BY 1
  UNION ALL
  SELECT user_id, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM customer_hour WHERE bucket >= %(p8)s AND bucket < %(p9)s AND tenant_no = 7 GROUP BY 1
) AS part GROUP BY user_id
) AS answer ORDER BY coalesce(billed_pico_usd, 0) + coalesce(adjustment_pico_usd, 0) DESC, user_id
LIMIT 101 OFFSET 0

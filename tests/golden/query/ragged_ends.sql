-- source: usage
--    raw 2026-10-01 05:07:03 .. 2026-10-01 05:08:00
-- minute 2026-10-01 05:08:00 .. 2026-10-01 05:15:00
--    15m 2026-10-01 05:15:00 .. 2026-10-01 06:00:00
--   hour 2026-10-01 06:00:00 .. 2026-10-02 00:00:00
--    day 2026-10-02 00:00:00 .. 2026-10-31 00:00:00
--   hour 2026-10-31 00:00:00 .. 2026-10-31 23:00:00
-- minute 2026-10-31 23:00:00 .. 2026-10-31 23:10:00
-- p0: 2026-10-01 05:07:03+00:00
-- p1: 2026-10-01 05:08:00+00:00
-- p2: 2026-10-01 05:08:00+00:00
-- p3: 2026-10-01 05:15:00+00:00
-- p4: 2026-10-31 23:00:00+00:00
-- p5: 2026-10-31 23:10:00+00:00
-- p6: 2026-10-01 05:15:00+00:00
-- p7: 2026-10-01 06:00:00+00:00
-- p8: 2026-10-01 06:00:00+00:00
-- p9: 2026-10-02 00:00:00+00:00
-- p10: 2026-10-31 00:00:00+00:00
-- p11: 2026-10-31 23:00:00+00:00
-- p12: 2026-10-02 00:00:00+00:00
-- p13: 2026-10-31 00:00:00+00:00
SELECT * FROM (
SELECT agent_id, coalesce(sum(billed_pico_usd), 0)::numeric AS billed_pico_usd, coalesce(sum(adjustment_pico_usd), 0)::numeric AS adjustment_pico_usd, coalesce(sum(unpriced_events), 0)::numeric AS unpriced_events, coalesce(sum(late_events), 0)::numeric AS late_events FROM (
  SELECT e.agent_id AS agent_id, sum(coalesce(e.cost_pico_usd, 0)) AS billed_pico_usd, sum(0) AS adjustment_pico_usd, count(*) FILTER (WHERE e.cost_pico_usd IS NULL) AS unpriced_events, count(*) FILTER (WHERE e.received_at > e.occurred_at + INTERVAL '600 seconds') AS late_events FROM usage_event AS e WHERE e.occurred_at >= %(p0)s AND e.occurred_at < %(p1)s AND e.tenant_no = 7 GROUP BY 1
  UNION ALL
  SELECT agent_id, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM usage_minute WHERE bucket >= %(p2)s AND bucket < %(p3)s AND tenant_no = 7 GROUP BY 1
  UNION ALL
  SELECT agent_id, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM usage_minute WHERE bucket >= %(p4)s AND bucket < %(p5)s AND tenant_no = 7 GROUP BY 1
  UNION ALL
  SELECT agent_id, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM usage_15m WHERE bucket >= %(p6)s AND bucket < %(p7)s AND tenant_no = 7 GROUP BY 1
  UNION ALL
  SELECT agent_id, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM usage_hour WHERE bucket >= %(p8)s AND bucket < %(p9)s AND tenant_no = 7 GROUP BY 1
  UNION ALL
  SELECT agent_id, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM usage_hour WHERE bucket >= %(p10)s AND bucket < %(p11)s AND tenant_no = 7 GROUP BY 1
  UNION ALL
  SELECT agent_id, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM usage_day WHERE bucket >= %(p12)s AND bucket < %(p13)s AND tenant_no = 7 GROUP BY 1
) AS part GROUP BY agent_id
) AS answer ORDER BY coalesce(billed_pico_usd, 0) + coalesce(adjustment_pico_usd, 0) DESC, agent_id
LIMIT 101 OFFSET 0

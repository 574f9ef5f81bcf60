-- source: usage
--    day 2026-10-01 00:00:00 .. 2026-11-01 00:00:00
-- p0: 2026-10-01 00:00:00+00:00
-- p1: 2026-11-01 00:00:00+00:00
SELECT * FROM (
SELECT tenant_id, model, billed_pico_usd, adjustment_pico_usd, unpriced_events, late_events FROM (
SELECT tenant_no, model, coalesce(sum(billed_pico_usd), 0)::numeric AS billed_pico_usd, coalesce(sum(adjustment_pico_usd), 0)::numeric AS adjustment_pico_usd, coalesce(sum(unpriced_events), 0)::numeric AS unpriced_events, coalesce(sum(late_events), 0)::numeric AS late_events FROM (
  SELECT tenant_no, model, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM usage_day WHERE bucket >= %(p0)s AND bucket < %(p1)s GROUP BY 1, 2
) AS part GROUP BY tenant_no, model
) AS summed JOIN tenant USING (tenant_no)
) AS answer ORDER BY coalesce(billed_pico_usd, 0) + coalesce(adjustment_pico_usd, 0) DESC, tenant_id, model
LIMIT 101 OFFSET 0

-- source: raw
--    raw 2026-10-01 00:00:00 .. 2026-11-01 00:00:00
-- p0: 2 values, ok .. error
-- p1: 2026-10-01 00:00:00+00:00
-- p2: 2026-11-01 00:00:00+00:00
SELECT * FROM (
SELECT customer_id, provider, coalesce(sum(billed_pico_usd), 0)::numeric AS billed_pico_usd, coalesce(sum(adjustment_pico_usd), 0)::numeric AS adjustment_pico_usd, coalesce(sum(latency_sum_ms), 0)::numeric AS latency_sum_ms, coalesce(sum(latency_count), 0)::numeric AS latency_count, coalesce(sum(unpriced_events), 0)::numeric AS unpriced_events, coalesce(sum(late_events), 0)::numeric AS late_events FROM (
  SELECT e.customer_id AS customer_id, e.provider AS provider, sum(coalesce(e.cost_pico_usd, 0)) AS billed_pico_usd, sum(coalesce(a.delta_pico_usd, 0)) AS adjustment_pico_usd, sum(coalesce(e.latency_ms, 0)) AS latency_sum_ms, count(e.latency_ms) AS latency_count, count(*) FILTER (WHERE e.cost_pico_usd IS NULL AND a.healed IS NOT TRUE) AS unpriced_events, count(*) FILTER (WHERE e.received_at > e.occurred_at + INTERVAL '600 seconds') AS late_events FROM usage_event AS e LEFT JOIN LATERAL (SELECT sum(c.delta_pico_usd) AS delta_pico_usd, sum(c.response_cache_saved_pico_usd) AS response_cache_saved_pico_usd, sum(c.prompt_cache_saved_pico_usd) AS prompt_cache_saved_pico_usd, bool_or(c.heals_unpriced) AS healed FROM cost_adjustment AS c WHERE c.tenant_no = e.tenant_no AND c.event_key = e.event_key AND c.occurred_at = e.occurred_at) AS a ON true WHERE e.occurred_at >= %(p1)s AND e.occurred_at < %(p2)s AND e.tenant_no = 7 AND e.status = ANY(%(p0)s::text[]) GROUP BY 1, 2
) AS part GROUP BY customer_id, provider
) AS answer ORDER BY latency_sum_ms / nullif(latency_count, 0) DESC NULLS LAST, customer_id, provider
LIMIT 101 OFFSET 0

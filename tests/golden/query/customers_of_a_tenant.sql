-- source: spender
--    day 2026-10-01 00:00:00 .. 2026-11-01 00:00:00
-- p0: 2026-10-01 00:00:00+00:00
-- p1: 2026-11-01 00:00:00+00:00
SELECT * FROM (
SELECT customer_id, coalesce(sum(billed_pico_usd), 0)::numeric AS billed_pico_usd, coalesce(sum(adjustment_pico_usd), 0)::numeric AS adjustment_pico_usd, coalesce(sum(calls), 0)::numeric AS calls, coalesce(sum(prompt_tokens), 0)::numeric AS prompt_tokens, coalesce(sum(completion_tokens), 0)::numeric AS completion_tokens, coalesce(sum(unpriced_events), 0)::numeric AS unpriced_events, coalesce(sum(late_events), 0)::numeric AS late_events FROM (
  SELECT customer_id, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(calls) AS calls, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM spender_day WHERE bucket >= %(p0)s AND bucket < %(p1)s AND tenant_no = 7 GROUP BY 1
) AS part GROUP BY customer_id
) AS answer ORDER BY coalesce(billed_pico_usd, 0) + coalesce(adjustment_pico_usd, 0) DESC, customer_id
LIMIT 21 OFFSET 40

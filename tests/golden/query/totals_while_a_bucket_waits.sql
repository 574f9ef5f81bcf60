-- source: usage
--    day 2026-10-01 00:00:00 .. 2026-10-20 00:00:00
--   hour 2026-10-20 00:00:00 .. 2026-10-20 10:00:00
--    15m 2026-10-20 10:00:00 .. 2026-10-20 10:15:00
-- minute 2026-10-20 10:15:00 .. 2026-10-20 10:45:00
--    15m 2026-10-20 10:45:00 .. 2026-10-20 11:00:00
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
-- p9: 2026-10-20 10:15:00+00:00
-- p10: 2026-10-20 10:45:00+00:00
-- p11: 2026-10-20 11:00:00+00:00
-- p12: 2026-10-20 10:15:00+00:00
-- p13: 2026-10-20 10:45:00+00:00
SELECT * FROM (
SELECT feature, coalesce(sum(billed_pico_usd), 0)::numeric AS billed_pico_usd, coalesce(sum(adjustment_pico_usd), 0)::numeric AS adjustment_pico_usd, coalesce(sum(calls), 0)::numeric AS calls, coalesce(sum(prompt_tokens), 0)::numeric AS prompt_tokens, coalesce(sum(completion_tokens), 0)::numeric AS completion_tokens, coalesce(sum(unpriced_events), 0)::numeric AS unpriced_events, coalesce(sum(late_events), 0)::numeric AS late_events FROM (
  SELECT feature, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(calls) AS calls, sum(input_uncached + cache_read + cache_write_5m + cache_write_1h + input_audio + input_image) AS prompt_tokens, sum(output_text + output_reasoning + output_audio + output_image) AS completion_tokens, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM usage_day WHERE bucket >= %(p0)s AND bucket < %(p1)s AND tenant_no = 7 GROUP BY 1
  UNION ALL
  SELECT feature, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(calls) AS calls, sum(input_uncached + cache_read + cache_write_5m + cache_write_1h + input_audio + input_image) AS prompt_tokens, sum(output_text + output_reasoning + output_audio + output_image) AS completion_tokens, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM usage_day WHERE bucket >= %(p2)s AND bucket < %(p3)s AND tenant_no = 7 GROUP BY 1
  UNION ALL
  SELECT feature, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(calls) AS calls, sum(input_uncached + cache_read + cache_write_5m + cache_write_1h + input_audio + input_image) AS prompt_tokens, sum(output_text + output_reasoning + output_audio + output_image) AS completion_tokens, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM usage_hour WHERE bucket >= %(p4)s AND bucket < %(p5)s AND tenant_no = 7 GROUP BY 1
  UNION ALL
  SELECT feature, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(calls) AS calls, sum(input_uncached + cache_read + cache_write_5m + cache_write_1h + input_audio + input_image) AS prompt_tokens, sum(output_text + output_reasoning + output_audio + output_image) AS completion_tokens, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM usage_hour WHERE bucket >= %(p6)s AND bucket < %(p7)s AND tenant_no = 7 GROUP BY 1
  UNION ALL
  SELECT feature, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(calls) AS calls, sum(input_uncached + cache_read + cache_write_5m + cache_write_1h + input_audio + input_image) AS prompt_tokens, sum(output_text + output_reasoning + output_audio + output_image) AS completion_tokens, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM usage_15m WHERE bucket >= %(p8)s AND bucket < %(p9)s AND tenant_no = 7 GROUP BY 1
  UNION ALL
  SELECT feature, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(calls) AS calls, sum(input_uncached + cache_read + cache_write_5m + cache_write_1h + input_audio + input_image) AS prompt_tokens, sum(output_text + output_reasoning + output_audio + output_image) AS completion_tokens, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM usage_15m WHERE bucket >= %(p10)s AND bucket < %(p11)s AND tenant_no = 7 GROUP BY 1
  UNION ALL
  SELECT feature, sum(billed_pico_usd) AS billed_pico_usd, sum(adjustment_pico_usd) AS adjustment_pico_usd, sum(calls) AS calls, sum(input_uncached + cache_read + cache_write_5m + cache_write_1h + input_audio + input_image) AS prompt_tokens, sum(output_text + output_reasoning + output_audio + output_image) AS completion_tokens, sum(unpriced_events) AS unpriced_events, sum(late_events) AS late_events FROM usage_minute WHERE bucket >= %(p12)s AND bucket < %(p13)s AND tenant_no = 7 GROUP BY 1
) AS part GROUP BY feature
) AS answer ORDER BY coalesce(billed_pico_usd, 0) + coalesce(adjustment_pico_usd, 0) DESC, feature
LIMIT 101 OFFSET 0

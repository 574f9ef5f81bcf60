-- source: latency
--    day 2026-10-01 00:00:00 .. 2026-11-01 00:00:00
-- p0: 2026-10-01 00:00:00+00:00
-- p1: 2026-11-01 00:00:00+00:00
SELECT feature, latency_bucket, coalesce(sum(calls), 0)::numeric AS calls FROM (
  SELECT feature, latency_bucket, sum(calls) AS calls FROM latency_day WHERE bucket >= %(p0)s AND bucket < %(p1)s AND tenant_no = 7 GROUP BY 1, 2
) AS part GROUP BY feature, latency_bucket
LIMIT 101

-- covered_covered_months

WITH spells AS (
    SELECT person, 'spells' AS kind, greatest(year(on_date) * 12 + month(on_date) - 1, -2147483648) AS low, least(coalesce((year(until) * 12 + month(until) - 1 - CAST(until < last_day(until) AS INTEGER)), $month), $month) AS high
    FROM counted_forms WHERE on_date <= $as_of
    UNION ALL
    SELECT person, 'without' AS kind, greatest(year(on_date) * 12 + month(on_date) - 1, -2147483648) AS low, least(coalesce((year(until) * 12 + month(until) - 1 - CAST(until < last_day(until) AS INTEGER)), $month), $month) AS high
    FROM counted_forms WHERE kind IN ('other') AND on_date <= $as_of
),
months AS (
    SELECT person, kind, greatest(high - greatest(low - 1, coalesce(max(high) OVER (PARTITION BY person ORDER BY low, high ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), low - 1)), 0) AS together, greatest(high - greatest(low - 1, coalesce(max(high) OVER (PARTITION BY person, kind ORDER BY low, high ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), low - 1)), 0) AS alone
    FROM spells WHERE high >= low
)
SELECT person, CAST(sum(together) - coalesce(sum(alone) FILTER (WHERE kind = 'without'), 0) AS INTEGER) AS covered_months
FROM months GROUP BY person

-- 曾经参保的人，养老保险断缴了多久？
-- Of those ever insured: how long has their pension contribution been interrupted?
SELECT
    CASE
        WHEN pension_gap_months <= 1 THEN '0-1'
        WHEN pension_gap_months <= 3 THEN '2-3'
        WHEN pension_gap_months <= 12 THEN '4-12'
        ELSE '13+'
    END AS months_interrupted,
    count(*) AS people, round(avg(pension_months), 1) AS mean_months_paid
FROM latest_facts
WHERE pension_gap_months IS NOT NULL
GROUP BY ALL
ORDER BY min(pension_gap_months);

-- 各区县本月新登记多少人、不再登记多少人，他们的平均总分是多少？
-- How many people are new in each district or no longer registered this month, and what was their mean total?
SELECT district, CASE WHEN before IS NULL THEN 'new' ELSE 'gone' END AS movement, count(*) AS people,
    round(avg(coalesce(after, before)), 2) AS mean_total
FROM latest_score_changes
WHERE item = 'total' AND (before IS NULL OR after IS NULL)
GROUP BY ALL
ORDER BY ALL;

-- 各区县本月新登记多少人、不再登记多少人，他们的平均总分是多少？
-- How many people are new in each district or no longer registered this month, and what was their mean total?
SELECT district, movement, count(*) AS people, round(avg(coalesce(after, before)), 2) AS mean_total
FROM latest_score_changes
WHERE kind = 'total' AND movement IN ('new', 'gone')
GROUP BY ALL
ORDER BY ALL;

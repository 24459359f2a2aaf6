-- 各区县每月有多少人，平均总分和平均个性分是多少？
-- How many people has each district in each month, and what are their mean total and district points?
SELECT month, district, max(people) FILTER (metric = 'total_points') AS people,
    round(max(value / people) FILTER (metric = 'total_points'), 2) AS mean_total,
    round(max(value) FILTER (metric = 'points') / max(people) FILTER (metric = 'total_points'), 2) AS mean_district
FROM metrics
WHERE (metric = 'total_points' OR metric = 'points' AND item = 'district') AND district <> 'city'
GROUP BY ALL
ORDER BY ALL;

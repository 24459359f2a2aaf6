-- 各区县居民怎样居住？
-- How do people in each district live?
SELECT district, split_part(item, ':', 2) AS tenure, people
FROM latest_metrics
WHERE metric = 'portrait' AND item LIKE 'tenure:%' AND district <> 'city'
ORDER BY ALL;

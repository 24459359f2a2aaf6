-- 各区县本月新登记多少人、不再登记多少人？
-- How many people are new in each district or no longer registered this month?
SELECT district, item AS movement, people
FROM latest_metrics
WHERE metric = 'movement' AND item IN ('new', 'gone') AND district <> 'city'
ORDER BY ALL;

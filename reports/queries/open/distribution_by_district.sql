-- 各区县的总分怎样分布（每 20 分一档，低于 0 分和 180 分以上各为一档）？
-- How are total points distributed in each district, in bands of 20 points, one below 0 and one from 180 on?
SELECT district, CAST(item AS INTEGER) * 20 AS band_from, people
FROM latest_metrics
WHERE metric = 'points_band' AND district <> 'city'
ORDER BY ALL;

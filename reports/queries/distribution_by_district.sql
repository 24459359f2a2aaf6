-- 各区县的总分怎样分布（每 20 分一档）？
-- How are total points distributed in each district, in bands of 20 points?
SELECT district, CAST(floor(total_points / 20) AS INTEGER) * 20 AS band_from, count(*) AS people
FROM latest_scores
GROUP BY ALL
ORDER BY ALL;

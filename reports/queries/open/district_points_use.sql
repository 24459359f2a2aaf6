-- 各区县多少居民有个性分，平均多少分？
-- How many residents of each district have district points, and what is their mean?
SELECT residents.district, residents.people, own.people AS with_points,
    round(own.value / own.people, 2) AS mean_points
FROM (FROM latest_metrics WHERE metric = 'residents' AND district <> 'city') AS residents
LEFT JOIN (FROM latest_metrics WHERE metric = 'points' AND item = 'district') AS own USING (district)
ORDER BY ALL;

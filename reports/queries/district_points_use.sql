-- 各区县多少居民有个性分，平均和最高多少分？
-- How many residents of each district have district points, and what are their mean and highest?
SELECT district, count(*) AS people, count(*) FILTER (WHERE district_points > 0) AS with_points,
    round(avg(district_points) FILTER (WHERE district_points > 0), 2) AS mean_points, max(district_points) AS highest
FROM latest_scores
GROUP BY ALL
ORDER BY ALL;

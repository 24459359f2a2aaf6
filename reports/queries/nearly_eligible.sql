-- 各区县有多少人只差 5 分以内就能达到各项服务的门槛？
-- How many people lack at most 5 points for a service, all other conditions met?
SELECT service, district, count(*) AS people, round(avg(points_short), 2) AS mean_points_short
FROM latest_eligibility
WHERE NOT eligible AND points_short <= 5
GROUP BY ALL
ORDER BY ALL;

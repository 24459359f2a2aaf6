-- 各区县每月有多少人，平均总分和平均个性分是多少？
-- How many people has each district in each month, and what are their mean total and district points?
SELECT month, district, count(*) AS people,
    round(avg(total_points), 2) AS mean_total, round(avg(district_points), 2) AS mean_district
FROM scores
GROUP BY ALL
ORDER BY ALL;

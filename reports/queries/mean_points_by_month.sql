-- 各区县每月有多少人，平均总分和平均个性分是多少？
-- How many people has each district in each month, and what are their mean total and district points?
SELECT month, district, count(*) AS people,  -- sum and count, for avg() of decimals takes half as long again
    round(sum(total_points) / count(*), 2) AS mean_total, round(sum(district_points) / count(*), 2) AS mean_district
FROM scores
GROUP BY ALL
ORDER BY ALL;

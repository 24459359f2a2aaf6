-- 近五年每年有多少人参加志愿服务，共多少小时？
-- In each of the last five calendar years: how many people volunteered, and for how many hours?
SELECT one.year AS year, count(*) AS people, sum(one.hours) AS hours
FROM (SELECT unnest(service_hours_by_year) AS one FROM latest_facts)
GROUP BY ALL
ORDER BY ALL;

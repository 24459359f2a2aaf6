-- 如果门槛提高 1、2、5、10 分，各项服务会减少多少达标的人？
-- If a threshold were raised by 1, 2, 5 or 10 points, how many people would no longer be eligible?
SELECT service, title, count(*) AS eligible_now,
    count(*) FILTER (WHERE score < points + 1) AS raised_by_1,
    count(*) FILTER (WHERE score < points + 2) AS raised_by_2,
    count(*) FILTER (WHERE score < points + 5) AS raised_by_5,
    count(*) FILTER (WHERE score < points + 10) AS raised_by_10
FROM latest_eligibility
JOIN (SELECT service, district, points FROM latest_thresholds) USING (service, district)
JOIN (SELECT service, title FROM latest_services) USING (service)
WHERE eligible
GROUP BY ALL
ORDER BY ALL;

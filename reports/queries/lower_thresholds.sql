-- 如果门槛降低 1、2、5、10 分，各项服务会增加多少达标的人？
-- If a threshold were lowered by 1, 2, 5 or 10 points, how many more people would be eligible?
SELECT service, count(*) FILTER (WHERE eligible) AS eligible_now,
    count(*) FILTER (WHERE NOT eligible AND points_short <= 1) AS lowered_by_1,
    count(*) FILTER (WHERE NOT eligible AND points_short <= 2) AS lowered_by_2,
    count(*) FILTER (WHERE NOT eligible AND points_short <= 5) AS lowered_by_5,
    count(*) FILTER (WHERE NOT eligible AND points_short <= 10) AS lowered_by_10
FROM latest_eligibility
GROUP BY ALL
ORDER BY ALL;

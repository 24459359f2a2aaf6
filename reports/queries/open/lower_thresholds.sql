-- 如果门槛降低 5、10 分，各项服务至少、至多会增加多少达标的人？
-- If a threshold were lowered by 5 or 10 points, how many more people would be eligible, at least and at most?
SELECT service, count(*) FILTER (eligible) AS eligible_now,
    count(*) FILTER (short_to <= 5) AS lowered_by_5_at_least, count(*) FILTER (short_from < 5) AS lowered_by_5_at_most,
    count(*) FILTER (short_to <= 10) AS lowered_by_10_at_least, count(*) FILTER (short_from < 10) AS lowered_by_10_at_most
FROM (
    SELECT service, eligible, CASE WHEN NOT eligible THEN points_short_to END AS short_to,
        -- from the second step on in bands of 20 points, then not at all
        CASE WHEN NOT eligible THEN coalesce(points_short_to - CASE WHEN generalised < 2 THEN 5 ELSE 20 END, 0) END AS short_from
    FROM latest_open_eligibility
)
GROUP BY ALL
ORDER BY ALL;

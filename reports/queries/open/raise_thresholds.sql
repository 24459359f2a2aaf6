-- 如果门槛提高 5、10 分，有门槛的各项服务至少、至多会减少多少达标的人？
-- If a threshold were raised by 5 or 10 points, how many people would no longer be eligible, at least and at most?
SELECT service, title, count(*) AS eligible_now,
    count(*) FILTER (surplus_to <= 5) AS raised_by_5_at_least, count(*) FILTER (surplus_from < 5) AS raised_by_5_at_most,
    count(*) FILTER (surplus_to <= 10) AS raised_by_10_at_least, count(*) FILTER (surplus_from < 10) AS raised_by_10_at_most
FROM (
    -- how far above the threshold: from the first step on in bands of 20 points, then not at all
    SELECT service, coalesce(score_from - points, 0) AS surplus_from,
        score_from + CASE generalised WHEN 0 THEN 5 ELSE 20 END - points AS surplus_to
    FROM latest_open_eligibility
    LEFT JOIN (SELECT service, district, points FROM latest_thresholds) USING (service, district)
    WHERE eligible
)
JOIN (SELECT service, any_value(title) AS title FROM latest_services GROUP BY service) USING (service)
SEMI JOIN (FROM latest_thresholds WHERE points IS NOT NULL) AS thresholds USING (service)
GROUP BY ALL
ORDER BY ALL;

-- 本月生效的异议更正有多少，更正了哪些项目？
-- How many corrections are in effect this month, and what do they correct?
SELECT one.target AS target, count(*) AS people, sum(one.before) AS points_before
FROM (SELECT unnest(corrected) AS one FROM latest_scores WHERE len(corrected) > 0)
GROUP BY ALL
ORDER BY people DESC, target;

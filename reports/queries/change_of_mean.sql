-- 平均总分为什么变了：新登记的人、不再登记的人、留下的人的每项指标，各影响多少分？
-- Why did the mean total change: how much through those who came, those who left, and each indicator of those who stayed?
SET VARIABLE before = (SELECT CAST(max(month) - INTERVAL 1 MONTH AS DATE) FROM latest_scores);

WITH previous AS (SELECT sum(total_points) / count(*) AS mean FROM scores WHERE month = getvariable('before')),
now AS (SELECT count(*) AS people FROM latest_scores),
came_or_left AS (
    SELECT movement AS part, count(*) AS people,
        sum(CASE movement WHEN 'new' THEN after - mean ELSE mean - before END) AS points
    FROM latest_score_changes, previous
    WHERE kind = 'total' AND movement IN ('new', 'gone')
    GROUP BY ALL
),
stayed AS (
    SELECT kind, item AS part, count(*) AS people, sum(effect) AS points
    FROM latest_score_changes
    WHERE kind IN ('indicator', 'total') AND movement IN ('stayed', 'moved')
    GROUP BY ALL
),
limits AS (  -- what caps and floors took of the indicators, or gave back
    SELECT 'limits' AS part, NULL AS people, sum(CASE kind WHEN 'total' THEN points ELSE -points END) AS points
    FROM stayed
),
parts AS (
    FROM came_or_left
    UNION ALL SELECT part, people, points FROM stayed WHERE kind = 'indicator'
    UNION ALL FROM limits
)
SELECT part, parts.people, round(points / now.people, 4) AS change_of_mean
FROM parts, now
WHERE points <> 0
ORDER BY abs(points) DESC, part;

-- 总分下降的人，在哪些指标和分项上有变化，共多少人、多少分？
-- Among those whose total fell: which indicators and sections changed, for how many people and by how many points?
WITH lost AS (SELECT resident_key FROM latest_score_changes WHERE item = 'total' AND after < before)
SELECT item, title_zh, count(*) AS people, sum(coalesce(after, 0) - coalesce(before, 0)) AS points
FROM latest_score_changes SEMI JOIN lost USING (resident_key)
LEFT JOIN dictionary ON table_name = 'scores' AND column_name = item || '_points'
WHERE item NOT IN ('total', 'common') AND coalesce(after, 0) <> coalesce(before, 0)
GROUP BY ALL
ORDER BY people DESC, item;

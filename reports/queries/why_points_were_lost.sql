-- 总分下降的人，在哪些指标上有变化，共多少人、对总分影响多少？
-- Among those whose total fell: which indicators changed, for how many people, and with what effect on the total?
WITH lost AS (
    SELECT resident_key FROM latest_score_changes WHERE kind = 'total' AND after < before
)
SELECT item, title_zh, count(*) AS people, sum(effect) AS effect
FROM latest_score_changes SEMI JOIN lost USING (resident_key)
LEFT JOIN dictionary ON table_name = 'scores' AND column_name = item || '_points'
WHERE kind = 'indicator' AND effect <> 0
GROUP BY ALL
ORDER BY people DESC, item;

-- 哪些指标有人下降，共多少人、对总分影响多少（不论总分是否下降）？
-- In which indicators did people lose points, how many, and with what effect, whether their total fell or not?
SELECT item, title_zh, people, value AS effect
FROM latest_metrics
LEFT JOIN dictionary ON table_name = 'scores' AND column_name = item || '_points'
WHERE metric = 'lowered' AND district = 'city'
ORDER BY people DESC, item;

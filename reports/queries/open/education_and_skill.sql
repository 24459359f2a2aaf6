-- 各学历的人有什么职业技能等级？
-- Which skill levels do people of each degree have?
SELECT split_part(split_part(item, '/', 1), ':', 2) AS degree, split_part(split_part(item, '/', 2), ':', 2) AS skill, people
FROM latest_metrics
WHERE metric = 'portrait_pair' AND district = 'city' AND item LIKE 'degree:%/skill:%'
ORDER BY people DESC, degree, skill;

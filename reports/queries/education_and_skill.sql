-- 各学历的人有什么职业技能等级，其中多少人在紧缺岗位？
-- Which skill levels do people of each degree have, and how many of them work in shortage occupations?
SELECT degree, skill, count(*) AS people, count(*) FILTER (WHERE shortage_job) AS in_shortage_jobs
FROM latest_facts
GROUP BY ALL
ORDER BY people DESC, degree, skill;

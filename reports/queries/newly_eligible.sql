-- 本月哪些服务新增了多少达标的人（上月同一服务未达标）？
-- How many people became eligible this month, who were not in the month before, by service and district?
SET VARIABLE before = (SELECT CAST(max(month) - INTERVAL 1 MONTH AS DATE) FROM latest_eligibility);

SELECT service, district, count(*) AS people
FROM (FROM latest_eligibility WHERE eligible)
ANTI JOIN (FROM eligibility WHERE month = getvariable('before') AND eligible) USING (resident_key, service)
GROUP BY ALL
ORDER BY ALL;

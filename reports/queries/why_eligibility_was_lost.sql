-- 上月达标、本月不再达标的人，是因为什么，各多少人？
-- Of those eligible the month before and not eligible this month: why, and how many?
SET VARIABLE before = (SELECT CAST(max(month) - INTERVAL 1 MONTH AS DATE) FROM latest_eligibility);

WITH lost AS (
    SELECT service, resident_key, score
    FROM (FROM eligibility WHERE month = getvariable('before') AND eligible)
    ANTI JOIN (FROM latest_eligibility WHERE eligible) USING (service, resident_key)
)
SELECT lost.service,
    CASE
        WHEN now.resident_key IS NULL THEN 'gone'  -- not registered any more
        WHEN lost.service NOT IN (SELECT service FROM latest_services) THEN 'service_ended'
        WHEN open.service IS NULL THEN 'moved'  -- to a district where the service is not open
        WHEN short.score < lost.score THEN 'points'
        WHEN short.resident_key IS NOT NULL THEN 'threshold'  -- a higher one, or that of another district
        WHEN was.insured_now AND now.insured_now IS NOT TRUE THEN 'insurance_ended'
        WHEN was.permit_held AND now.permit_held IS NOT TRUE THEN 'permit_ended'
        WHEN now.frozen AND was.frozen IS NOT TRUE THEN 'frozen'
        ELSE 'other_condition'
    END AS reason,
    count(*) AS people
FROM lost
JOIN (FROM facts WHERE month = getvariable('before')) AS was USING (resident_key)
LEFT JOIN latest_facts AS now USING (resident_key)
LEFT JOIN latest_thresholds AS open ON open.service = lost.service AND open.district = now.district
LEFT JOIN latest_eligibility AS short ON short.service = lost.service AND short.resident_key = lost.resident_key
GROUP BY ALL
ORDER BY lost.service, people DESC, reason;

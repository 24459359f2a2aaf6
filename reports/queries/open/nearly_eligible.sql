-- 各区县有多少人只差 5 分以内就能达到各项服务的门槛？
-- How many people lack at most 5 points for a service, all other conditions met?
SELECT item AS service, district, people
FROM latest_metrics
WHERE metric = 'near' AND district <> 'city'
ORDER BY ALL;

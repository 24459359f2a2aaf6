-- 本月各项服务达标的人比上月多多少、少多少（只有差数）？
-- By how many has the number of eligible people changed this month, by service and district (the difference only)?
SELECT item AS service, district, CAST(value - previous AS BIGINT) AS more
FROM latest_metrics
WHERE metric = 'eligible' AND district <> 'city'
ORDER BY ALL;

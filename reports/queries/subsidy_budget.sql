-- 各项服务每月应发多少人、多少钱，另有多少达标的人金额无法确定（不在其中）？
-- How many people are due money from each service in each month, how much in all, and for how many eligible people is the amount not known (not included)?
SELECT month, service, district, count(*) FILTER (WHERE monthly_amount > 0) AS people,
    count(*) FILTER (WHERE monthly_amount IS NULL) AS amount_unknown, sum(monthly_amount) AS yuan
FROM eligibility
SEMI JOIN (SELECT service FROM services WHERE monthly_amount IS NOT NULL) USING (service)
WHERE eligible
GROUP BY ALL
ORDER BY ALL;

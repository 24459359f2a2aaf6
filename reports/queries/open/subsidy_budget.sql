-- 各项服务每月应发多少人、多少钱，另有多少达标的人金额无法确定（不在其中）？
-- How many people are due money from each service in each month, how much in all, and for how many eligible people is the amount not known (not included)?
SELECT month, item AS service, district, paid.people, eligible.people - paid.people AS amount_unknown, paid.value AS yuan
FROM (FROM metrics WHERE metric = 'amount' AND district <> 'city') AS paid
JOIN (FROM metrics WHERE metric = 'eligible') AS eligible USING (month, district, item)
ORDER BY ALL;

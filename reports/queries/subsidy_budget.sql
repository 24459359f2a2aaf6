-- 各项服务每月应发多少人、多少钱？
-- How many people are due money from each service in each month, and how much in all?
SELECT month, service, district, count(*) AS people, sum(monthly_amount) AS yuan
FROM eligibility
WHERE eligible AND monthly_amount > 0
GROUP BY ALL
ORDER BY ALL;

-- 最近六个月，每人每项服务共应领多少个月、多少钱？
-- Over the last six months: for how many months, and how much in all, is each person due money from each service?
SET VARIABLE since = (SELECT CAST(max(month) - INTERVAL 5 MONTH AS DATE) FROM latest_eligibility);

SELECT service, resident_key, arg_max(district, month) AS district, min(month) AS first_month, max(month) AS last_month,
    count(*) AS months, sum(monthly_amount) AS yuan
FROM eligibility
WHERE month >= getvariable('since') AND eligible AND monthly_amount > 0
GROUP BY service, resident_key
ORDER BY yuan DESC, service, resident_key;

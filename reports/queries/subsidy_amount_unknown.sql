-- 本月哪些人已达标而金额无法确定，按什么算式？
-- Who is eligible this month for a service that pays, but has no amount, since a fact of its formula is not known?
SELECT service, formula, district, resident_key
FROM latest_eligibility
JOIN (SELECT service, monthly_amount AS formula FROM latest_services WHERE monthly_amount IS NOT NULL) USING (service)
WHERE eligible AND monthly_amount IS NULL
ORDER BY ALL;

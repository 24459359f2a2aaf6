-- 各年龄段有多少人正在缴纳养老保险？
-- What share of each age group is insured now?
SELECT least(age // 10 * 10, 70) AS age_from, count(*) AS people, count(*) FILTER (WHERE insured_now) AS insured,
    round(100 * avg(CAST(insured_now AS INTEGER)), 1) AS percent
FROM latest_facts
WHERE age >= 10
GROUP BY ALL
ORDER BY ALL;

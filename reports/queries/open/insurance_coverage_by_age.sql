-- 各年龄段有多少人正在缴纳养老保险（六个年龄段）？
-- What share of each age group is insured now, in six groups?
SELECT CAST(split_part(split_part(item, '/', 1), ':', 2) AS INTEGER) AS age_from, sum(people) AS people,
    sum(people) FILTER (item LIKE '%/insurance:now') AS insured,
    round(100 * sum(people) FILTER (item LIKE '%/insurance:now') / sum(people), 1) AS percent
FROM latest_metrics
WHERE metric = 'portrait_pair' AND district = 'city' AND item LIKE 'age:%/insurance:%' AND item NOT LIKE 'age:none/%'
GROUP BY ALL
ORDER BY ALL;

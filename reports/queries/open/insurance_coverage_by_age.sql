-- 各年龄段有多少人正在缴纳养老保险（六个年龄段）？
-- What share of each age group is insured now, in six groups?
SELECT CAST(split_part(item, ':', 2) AS INTEGER) AS age_from, ages.people, insured.people AS insured,
    round(100 * insured.people / ages.people, 1) AS percent
FROM (FROM latest_metrics WHERE metric = 'portrait' AND district = 'city' AND item LIKE 'age:%' AND item <> 'age:none') AS ages
JOIN (
    SELECT split_part(item, '/', 1) AS item, people
    FROM latest_metrics WHERE metric = 'portrait_pair' AND item LIKE 'age:%/insurance:now'
) AS insured USING (item)
ORDER BY ALL;

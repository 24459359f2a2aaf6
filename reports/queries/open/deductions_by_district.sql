-- 各区县有多少人被扣分，扣分的人平均扣多少分（少于 10 人的为空）？
-- How many people in each district have deductions, and how many points do those deducted lose on average (null below ten)?
SELECT district, people AS deducted, round(value / people, 2) AS mean_deduction
FROM latest_metrics
WHERE metric = 'points' AND item = 'deduction' AND district <> 'city'
ORDER BY ALL;

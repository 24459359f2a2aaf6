-- 各区县有多少人被扣分、被冻结，扣分的人平均扣多少分？
-- How many people in each district have deductions or are frozen, and how many points do those deducted lose on average?
SELECT district, count(*) AS people, count(*) FILTER (WHERE deduction_points > 0) AS deducted,
    round(avg(deduction_points) FILTER (WHERE deduction_points > 0), 2) AS mean_deduction, any_value(frozen) AS frozen
FROM latest_scores
JOIN (SELECT district, count(*) FILTER (WHERE frozen) AS frozen FROM latest_facts GROUP BY district) USING (district)
GROUP BY ALL
ORDER BY ALL;

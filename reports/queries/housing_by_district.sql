-- 各区县居民怎样居住，租房的人中多少已备案？
-- How do people in each district live, and how many rentals are registered?
SELECT district, tenure, count(*) AS people, count(*) FILTER (WHERE rental_registered) AS registered,
    round(avg(rental_months) FILTER (WHERE tenure IN ('rented', 'public_rental')), 1) AS mean_months_rented
FROM latest_facts
GROUP BY ALL
ORDER BY ALL;

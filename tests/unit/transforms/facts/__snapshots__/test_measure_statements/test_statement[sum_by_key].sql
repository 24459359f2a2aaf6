-- listed_awards
WITH summed AS (
    SELECT person, district || ':' || indicator AS key, CAST(coalesce(sum(points), 0) AS DECIMAL(12,2)) AS total
    FROM counted_local_awards
WHERE on_date > last_day($as_of - INTERVAL 24 MONTH) AND on_date <= $as_of GROUP BY person, district || ':' || indicator
)
SELECT person, CAST(list_sort(list({'key': key, 'points': total})) AS STRUCT(key VARCHAR, points DECIMAL(12,2))[]) AS awards
FROM summed GROUP BY person

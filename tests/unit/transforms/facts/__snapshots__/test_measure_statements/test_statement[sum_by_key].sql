-- listed_awards
WITH summed AS (
    SELECT person, district || ':' || indicator AS key, CAST(sum(points) AS DECIMAL(12,2)) AS total
    FROM rows_local_awards WHERE on_date > last_day($as_of - INTERVAL 24 MONTH) AND on_date <= $as_of GROUP BY ALL
)
SELECT person, CAST(list({'key': key, 'points': total} ORDER BY key) AS STRUCT(key VARCHAR, points DECIMAL(12,2))[]) AS awards
FROM summed GROUP BY person

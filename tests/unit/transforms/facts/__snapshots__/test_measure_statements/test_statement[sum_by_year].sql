-- listed_service_hours_by_year
WITH summed AS (
    SELECT person, CAST(year(on_date) AS INTEGER) AS key, CAST(coalesce(sum(quantity), 0) AS DECIMAL(12,2)) AS total
    FROM counted_volunteer
WHERE kind IN ('service') AND year(on_date) > year($as_of) - 5 AND on_date <= $as_of GROUP BY person, CAST(year(on_date) AS INTEGER)
)
SELECT person, CAST(list_sort(list({'year': key, 'hours': total})) AS STRUCT(year INTEGER, hours DECIMAL(12,2))[]) AS service_hours_by_year
FROM summed GROUP BY person

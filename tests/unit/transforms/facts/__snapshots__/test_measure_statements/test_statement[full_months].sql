-- facts_employment
SELECT person,
    min(started_on) FILTER (WHERE started_on <= $as_of AND (ended_on >= $as_of OR ended_on IS NULL)) AS employed_months
FROM counted_employment
WHERE (started_on <= $as_of AND (ended_on >= $as_of OR ended_on IS NULL))
GROUP BY person

-- facts_employment
SELECT person,
    sum(jobs_created) FILTER (WHERE started_on <= $as_of AND (ended_on >= $as_of OR ended_on IS NULL)) AS jobs_created
FROM counted_employment
WHERE (started_on <= $as_of AND (ended_on >= $as_of OR ended_on IS NULL))
GROUP BY person

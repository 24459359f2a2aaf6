-- facts_employment
SELECT person,
    count(*) FILTER (WHERE started_on <= $as_of AND (ended_on >= $as_of OR ended_on IS NULL) AND occupation IN (SELECT occupation FROM shortage_occupations WHERE year = year($as_of))) AS shortage_job
FROM counted_employment
WHERE (started_on <= $as_of AND (ended_on >= $as_of OR ended_on IS NULL) AND occupation IN (SELECT occupation FROM shortage_occupations WHERE year = year($as_of)))
GROUP BY person

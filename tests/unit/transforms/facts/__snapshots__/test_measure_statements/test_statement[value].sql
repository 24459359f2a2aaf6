-- facts_housing
SELECT person,
    rental_registered_pick.registered AS rental_registered
FROM (
SELECT person,
    max({'from_on': from_on, 'record_id': record_id, 'registered': registered}) FILTER (WHERE tenure IN ('rented', 'public_rental') AND from_on <= $as_of AND (to_on >= $as_of OR to_on IS NULL)) AS rental_registered_pick
FROM counted_housing
WHERE (tenure IN ('rented', 'public_rental') AND from_on <= $as_of AND (to_on >= $as_of OR to_on IS NULL))
GROUP BY person
)

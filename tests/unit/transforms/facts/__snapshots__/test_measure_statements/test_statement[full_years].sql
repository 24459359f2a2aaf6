
WITH spine AS (
    SELECT person, left(sha256($outer || unhex(sha256($inner || CAST(CASE WHEN person >= 10000000000000000 THEN CAST(person AS VARCHAR) ELSE lpad(CAST(person AS VARCHAR), 17, '0') END || substr('10X98765432', CAST((person * 2 + person // 10 * 6 + person // 100 * 1 + person // 1000 * 2 + person // 10000 * 4 + person // 100000 * 8 + person // 1000000 * 5 + person // 10000000 * 10 + person // 100000000 * 9 + person // 1000000000 * 7 + person // 10000000000 * 3 + person // 100000000000 * 6 + person // 1000000000000 * 1 + person // 10000000000000 * 2 + person // 100000000000000 * 4 + person // 1000000000000000 * 8 + person // 10000000000000000 * 5) % 11 AS INTEGER) + 1, 1) AS BLOB)))), 32) AS resident_key,
        residence_district AS district, name AS name, phone AS phone,
        residence_community AS community,
        resident_id // 1000 % 100000000 AS age
    FROM counted_registry
    WHERE status = 'resident'
),
measured AS (
    SELECT spine.person, spine.resident_key, spine.district, spine.name,
    spine.phone, spine.community, correction_lists.corrections,
    CAST(coalesce($month - (spine.age // 10000 * 12 + spine.age // 100 % 100 - 1), 0) // 12 AS INTEGER) AS age
    FROM spine
    LEFT JOIN correction_lists ON correction_lists.person = spine.person
),
with_lookups AS (
    SELECT measured.*
    FROM measured
),
derived AS (
    SELECT *
    FROM with_lookups
)
SELECT person, resident_key, district, age, corrections, name, phone, community
FROM derived
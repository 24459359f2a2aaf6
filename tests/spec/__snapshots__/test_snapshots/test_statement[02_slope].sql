WITH known AS (
    SELECT
        resident_key,
        district,
        corrections,
        CAST($as_of AS DATE) AS as_of,
        CAST(age AS BIGINT) AS age
    FROM facts
), scored AS (
    SELECT
        resident_key,
        district,
        corrections,
        CAST(LEAST(CASE WHEN age BETWEEN 18 AND 60 THEN 5 + GREATEST((
            55 - age
        ), 0) ELSE 0 END, 20) AS DECIMAL(7, 2)) AS age_points
    FROM known
), sections AS (
    SELECT
        *,
        CAST(age_points AS DECIMAL(7, 2)) AS base_points,
        CAST(0 AS DECIMAL(7, 2)) AS district_points
    FROM scored
), totals AS (
    SELECT
        *,
        CAST(base_points AS DECIMAL(7, 2)) AS common_points
    FROM sections
)
SELECT
    CAST($month AS DATE) AS month,
    resident_key,
    district,
    CAST('2021-09-08' AS DATE) AS policy_city,
    CAST(NULL AS DATE) AS policy_district,
    age_points,
    base_points,
    common_points,
    district_points,
    CAST(common_points + district_points AS DECIMAL(7, 2)) AS total_points,
    CAST(CASE
        WHEN ARRAY_LENGTH(corrections) > 0 THEN LIST_TRANSFORM(
            LIST_FILTER(corrections, LAMBDA one : one.target LIKE 'fact:%'),
            LAMBDA one : {'target': one.target, 'before': CAST(NULL AS DECIMAL(7, 2))}
        )
        ELSE []
    END AS STRUCT(target TEXT, before DECIMAL(7, 2))[]) AS corrected
FROM totals

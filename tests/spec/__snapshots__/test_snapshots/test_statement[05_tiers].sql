WITH known AS (
    SELECT
        resident_key,
        district,
        corrections,
        CAST($as_of AS DATE) AS as_of,
        CAST(employed_months AS BIGINT) AS employed_months
    FROM facts
), scored AS (
    SELECT
        resident_key,
        district,
        corrections,
        CAST(CASE
            WHEN GREATEST(employed_months // 12, 0) >= 5 THEN GREATEST(employed_months // 12, 0) * 6
            WHEN GREATEST(employed_months // 12, 0) >= 1 THEN GREATEST(employed_months // 12, 0) * 4
            ELSE 0
        END AS DECIMAL(7, 2)) AS employment_points
    FROM known
), sections AS (
    SELECT
        *,
        CAST(employment_points AS DECIMAL(7, 2)) AS base_points,
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
    employment_points,
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

WITH known AS (
    SELECT
        resident_key,
        district,
        corrections,
        CAST($as_of AS DATE) AS as_of,
        service_hours_by_year,
        CAST(CASE
            WHEN ARRAY_LENGTH(service_hours_by_year) > 0 THEN LIST_MAX(
                LIST_TRANSFORM(LIST_FILTER(service_hours_by_year, LAMBDA one : one.year = YEAR($as_of) - 0), LAMBDA one : one.hours)
            )
        END AS DECIMAL(18, 2)) AS service_hours_by_year_0_years_ago,
        CAST(CASE
            WHEN ARRAY_LENGTH(service_hours_by_year) > 0 THEN LIST_MAX(
                LIST_TRANSFORM(LIST_FILTER(service_hours_by_year, LAMBDA one : one.year = YEAR($as_of) - 1), LAMBDA one : one.hours)
            )
        END AS DECIMAL(18, 2)) AS service_hours_by_year_1_years_ago,
        CAST(CASE
            WHEN ARRAY_LENGTH(service_hours_by_year) > 0 THEN LIST_MAX(
                LIST_TRANSFORM(LIST_FILTER(service_hours_by_year, LAMBDA one : one.year = YEAR($as_of) - 2), LAMBDA one : one.hours)
            )
        END AS DECIMAL(18, 2)) AS service_hours_by_year_2_years_ago,
        CAST(CASE
            WHEN ARRAY_LENGTH(service_hours_by_year) > 0 THEN LIST_MAX(
                LIST_TRANSFORM(LIST_FILTER(service_hours_by_year, LAMBDA one : one.year = YEAR($as_of) - 3), LAMBDA one : one.hours)
            )
        END AS DECIMAL(18, 2)) AS service_hours_by_year_3_years_ago,
        CAST(CASE
            WHEN ARRAY_LENGTH(service_hours_by_year) > 0 THEN LIST_MAX(
                LIST_TRANSFORM(LIST_FILTER(service_hours_by_year, LAMBDA one : one.year = YEAR($as_of) - 4), LAMBDA one : one.hours)
            )
        END AS DECIMAL(18, 2)) AS service_hours_by_year_4_years_ago
    FROM facts
), scored AS (
    SELECT
        resident_key,
        district,
        corrections,
        CAST(LEAST(
            LEAST(GREATEST(CAST(service_hours_by_year_0_years_ago * 100 AS BIGINT) // 1000, 0), 5) + LEAST(GREATEST(CAST(service_hours_by_year_1_years_ago * 100 AS BIGINT) // 1000, 0), 5) + LEAST(GREATEST(CAST(service_hours_by_year_2_years_ago * 100 AS BIGINT) // 1000, 0), 5) + LEAST(GREATEST(CAST(service_hours_by_year_3_years_ago * 100 AS BIGINT) // 1000, 0), 5) + LEAST(GREATEST(CAST(service_hours_by_year_4_years_ago * 100 AS BIGINT) // 1000, 0), 5),
            15
        ) AS DECIMAL(7, 2)) AS volunteering_points
    FROM known
), sections AS (
    SELECT
        *,
        CAST(volunteering_points AS DECIMAL(7, 2)) AS base_points,
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
    volunteering_points,
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

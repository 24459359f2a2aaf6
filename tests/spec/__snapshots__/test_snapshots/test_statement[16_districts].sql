WITH known AS (
    SELECT
        resident_key,
        district,
        corrections,
        CAST($as_of AS DATE) AS as_of,
        CAST(residence_months AS BIGINT) AS residence_months,
        CAST(service_hours_24m AS DECIMAL(18, 2)) AS service_hours_24m,
        CASE
            WHEN district = '330211' THEN CAST(CASE
                WHEN ARRAY_LENGTH(awards) > 0 THEN LIST_MAX(LIST_TRANSFORM(LIST_FILTER(awards, LAMBDA one : one.key = '330211:village_award'), LAMBDA one : one.points))
            END AS DECIMAL(18, 2))
        END AS award_330211_village_award
    FROM facts
), scored AS (
    SELECT
        resident_key,
        district,
        corrections,
        CAST(GREATEST(residence_months // 12, 0) * 3 AS DECIMAL(7, 2)) AS residence_points,
        CASE WHEN district = '330211' THEN CAST(LEAST(GREATEST(award_330211_village_award, 0), 10) AS DECIMAL(7, 2)) END AS d330211_village_award_points,
        CASE
            WHEN district = '330211' THEN CAST(GREATEST(CAST(service_hours_24m * 100 AS BIGINT) // 1000, 0) AS DECIMAL(7, 2))
        END AS d330211_service_points
    FROM known
), sections AS (
    SELECT
        *,
        CAST(residence_points AS DECIMAL(7, 2)) AS base_points,
        CAST(CASE district WHEN '330211' THEN LEAST(d330211_village_award_points + d330211_service_points, 15) ELSE 0 END AS DECIMAL(7, 2)) AS district_points
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
    CASE district WHEN '330211' THEN CAST('2021-09-08' AS DATE) END AS policy_district,
    residence_points,
    d330211_village_award_points,
    d330211_service_points,
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

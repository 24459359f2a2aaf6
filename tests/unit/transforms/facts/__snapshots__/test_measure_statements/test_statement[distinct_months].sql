-- months_social_security

WITH disputed AS (
    SELECT person, word,
    bit_or(month_disputed) AS month_disputed,
    bit_or(month_insurance_pension) AS month_insurance_pension
    FROM (
    SELECT person, CAST(month // 60 AS INTEGER) AS word,
    CASE WHEN taken_back IS NOT NULL THEN (CAST(1 AS BIGINT) << (59 - month % 60)) ELSE 0 END AS month_disputed,
    CASE WHEN held IS NOT NULL AND (taken_back IS NULL OR held > taken_back) AND insurance IN ('pension') THEN (CAST(1 AS BIGINT) << (59 - month % 60)) ELSE 0 END AS month_insurance_pension
    FROM disputed_postings_social_security
    ) GROUP BY person, word
),
valid AS (
    SELECT b.person, b.first_month,
    ((b.month_insurance_pension & ~coalesce(d.month_disputed, 0)) | coalesce(d.month_insurance_pension, 0)) & ~((CAST(1 AS BIGINT) << greatest(least(first_month + 59 - $month, 60), 0)) - 1) AS month_insurance_pension
    FROM (SELECT *, word * 60 AS first_month FROM month_bitmaps_social_security) AS b
    LEFT JOIN disputed AS d ON d.person = b.person AND d.word = b.word
),
ends AS (
    SELECT *,
    CASE WHEN month_insurance_pension <> 0 THEN first_month + 59 - (bit_count(xor(month_insurance_pension, month_insurance_pension - 1)) - 1) END AS month_insurance_pension_newest
    FROM valid
)
SELECT person,
    CAST(sum(bit_count(month_insurance_pension)) AS INTEGER) AS pension_months
FROM ends GROUP BY person

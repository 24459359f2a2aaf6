-- months_social_security

WITH revoked AS (
    SELECT person, insurance, month FROM disputed_postings_social_security GROUP BY person, insurance, month
    HAVING NOT bool_or(held IS NOT NULL AND (taken_back IS NULL OR held > taken_back))
),
revoked_bitmaps AS (
    SELECT person,
    coalesce(bit_or(CASE WHEN month BETWEEN 23760 AND 23819 AND insurance IN ('pension') AND true THEN CAST(1 AS BIGINT) << (23819 - month) END), 0) AS month_insurance_pension_0,
    coalesce(bit_or(CASE WHEN month BETWEEN 23820 AND 23879 AND insurance IN ('pension') AND true THEN CAST(1 AS BIGINT) << (23879 - month) END), 0) AS month_insurance_pension_1,
    coalesce(bit_or(CASE WHEN month BETWEEN 23880 AND 23939 AND insurance IN ('pension') AND true THEN CAST(1 AS BIGINT) << (23939 - month) END), 0) AS month_insurance_pension_2,
    coalesce(bit_or(CASE WHEN month BETWEEN 23940 AND 23999 AND insurance IN ('pension') AND true THEN CAST(1 AS BIGINT) << (23999 - month) END), 0) AS month_insurance_pension_3,
    coalesce(bit_or(CASE WHEN month BETWEEN 24000 AND 24059 AND insurance IN ('pension') AND true THEN CAST(1 AS BIGINT) << (24059 - month) END), 0) AS month_insurance_pension_4,
    coalesce(bit_or(CASE WHEN month BETWEEN 24060 AND 24119 AND insurance IN ('pension') AND true THEN CAST(1 AS BIGINT) << (24119 - month) END), 0) AS month_insurance_pension_5,
    coalesce(bit_or(CASE WHEN month BETWEEN 24120 AND 24179 AND insurance IN ('pension') AND true THEN CAST(1 AS BIGINT) << (24179 - month) END), 0) AS month_insurance_pension_6,
    coalesce(bit_or(CASE WHEN month BETWEEN 24180 AND 24239 AND insurance IN ('pension') AND true THEN CAST(1 AS BIGINT) << (24239 - month) END), 0) AS month_insurance_pension_7,
    coalesce(bit_or(CASE WHEN month BETWEEN 24240 AND 24299 AND insurance IN ('pension') AND true THEN CAST(1 AS BIGINT) << (24299 - month) END), 0) AS month_insurance_pension_8,
    coalesce(bit_or(CASE WHEN month BETWEEN 24300 AND 24359 AND insurance IN ('pension') AND true THEN CAST(1 AS BIGINT) << (24359 - month) END), 0) AS month_insurance_pension_9
    FROM revoked GROUP BY person
),
valid AS (
    SELECT b.person,
    b.month_insurance_pension_0 & ~coalesce(r.month_insurance_pension_0, 0) AS month_insurance_pension_0,
    b.month_insurance_pension_1 & ~coalesce(r.month_insurance_pension_1, 0) AS month_insurance_pension_1,
    b.month_insurance_pension_2 & ~coalesce(r.month_insurance_pension_2, 0) AS month_insurance_pension_2,
    b.month_insurance_pension_3 & ~coalesce(r.month_insurance_pension_3, 0) AS month_insurance_pension_3,
    b.month_insurance_pension_4 & ~coalesce(r.month_insurance_pension_4, 0) AS month_insurance_pension_4,
    b.month_insurance_pension_5 & ~coalesce(r.month_insurance_pension_5, 0) AS month_insurance_pension_5,
    b.month_insurance_pension_6 & ~coalesce(r.month_insurance_pension_6, 0) AS month_insurance_pension_6,
    b.month_insurance_pension_7 & ~coalesce(r.month_insurance_pension_7, 0) AS month_insurance_pension_7,
    b.month_insurance_pension_8 & ~coalesce(r.month_insurance_pension_8, 0) & ~((CAST(1 AS BIGINT) << greatest(least(24299 - $month, 60), 0)) - 1) AS month_insurance_pension_8,
    b.month_insurance_pension_9 & ~coalesce(r.month_insurance_pension_9, 0) & ~((CAST(1 AS BIGINT) << greatest(least(24359 - $month, 60), 0)) - 1) AS month_insurance_pension_9
    FROM month_bitmaps_social_security AS b LEFT JOIN revoked_bitmaps AS r ON r.person = b.person
),
newest AS (
    SELECT *,
    CASE WHEN month_insurance_pension_9 <> 0 THEN 24359 - (CAST(bit_count(xor(month_insurance_pension_9, month_insurance_pension_9 - 1)) AS INTEGER) - 1) WHEN month_insurance_pension_8 <> 0 THEN 24299 - (CAST(bit_count(xor(month_insurance_pension_8, month_insurance_pension_8 - 1)) AS INTEGER) - 1) WHEN month_insurance_pension_7 <> 0 THEN 24239 - (CAST(bit_count(xor(month_insurance_pension_7, month_insurance_pension_7 - 1)) AS INTEGER) - 1) WHEN month_insurance_pension_6 <> 0 THEN 24179 - (CAST(bit_count(xor(month_insurance_pension_6, month_insurance_pension_6 - 1)) AS INTEGER) - 1) WHEN month_insurance_pension_5 <> 0 THEN 24119 - (CAST(bit_count(xor(month_insurance_pension_5, month_insurance_pension_5 - 1)) AS INTEGER) - 1) WHEN month_insurance_pension_4 <> 0 THEN 24059 - (CAST(bit_count(xor(month_insurance_pension_4, month_insurance_pension_4 - 1)) AS INTEGER) - 1) WHEN month_insurance_pension_3 <> 0 THEN 23999 - (CAST(bit_count(xor(month_insurance_pension_3, month_insurance_pension_3 - 1)) AS INTEGER) - 1) WHEN month_insurance_pension_2 <> 0 THEN 23939 - (CAST(bit_count(xor(month_insurance_pension_2, month_insurance_pension_2 - 1)) AS INTEGER) - 1) WHEN month_insurance_pension_1 <> 0 THEN 23879 - (CAST(bit_count(xor(month_insurance_pension_1, month_insurance_pension_1 - 1)) AS INTEGER) - 1) WHEN month_insurance_pension_0 <> 0 THEN 23819 - (CAST(bit_count(xor(month_insurance_pension_0, month_insurance_pension_0 - 1)) AS INTEGER) - 1) END AS month_insurance_pension_newest
    FROM valid
),
filled AS (
    SELECT *,
    month_insurance_pension_0 | ((CAST(1 AS BIGINT) << greatest(least(23819 - month_insurance_pension_newest, 60), 0)) - 1) AS month_insurance_pension_0_filled,
    month_insurance_pension_1 | ((CAST(1 AS BIGINT) << greatest(least(23879 - month_insurance_pension_newest, 60), 0)) - 1) AS month_insurance_pension_1_filled,
    month_insurance_pension_2 | ((CAST(1 AS BIGINT) << greatest(least(23939 - month_insurance_pension_newest, 60), 0)) - 1) AS month_insurance_pension_2_filled,
    month_insurance_pension_3 | ((CAST(1 AS BIGINT) << greatest(least(23999 - month_insurance_pension_newest, 60), 0)) - 1) AS month_insurance_pension_3_filled,
    month_insurance_pension_4 | ((CAST(1 AS BIGINT) << greatest(least(24059 - month_insurance_pension_newest, 60), 0)) - 1) AS month_insurance_pension_4_filled,
    month_insurance_pension_5 | ((CAST(1 AS BIGINT) << greatest(least(24119 - month_insurance_pension_newest, 60), 0)) - 1) AS month_insurance_pension_5_filled,
    month_insurance_pension_6 | ((CAST(1 AS BIGINT) << greatest(least(24179 - month_insurance_pension_newest, 60), 0)) - 1) AS month_insurance_pension_6_filled,
    month_insurance_pension_7 | ((CAST(1 AS BIGINT) << greatest(least(24239 - month_insurance_pension_newest, 60), 0)) - 1) AS month_insurance_pension_7_filled,
    month_insurance_pension_8 | ((CAST(1 AS BIGINT) << greatest(least(24299 - month_insurance_pension_newest, 60), 0)) - 1) AS month_insurance_pension_8_filled,
    month_insurance_pension_9 | ((CAST(1 AS BIGINT) << greatest(least(24359 - month_insurance_pension_newest, 60), 0)) - 1) AS month_insurance_pension_9_filled
    FROM newest
),
runs AS (
    SELECT *,
    CASE WHEN month_insurance_pension_9_filled <> 1152921504606846975 THEN 24359 - (CAST(bit_count(xor(month_insurance_pension_9_filled, month_insurance_pension_9_filled + 1)) AS INTEGER) - 1) WHEN month_insurance_pension_8_filled <> 1152921504606846975 THEN 24299 - (CAST(bit_count(xor(month_insurance_pension_8_filled, month_insurance_pension_8_filled + 1)) AS INTEGER) - 1) WHEN month_insurance_pension_7_filled <> 1152921504606846975 THEN 24239 - (CAST(bit_count(xor(month_insurance_pension_7_filled, month_insurance_pension_7_filled + 1)) AS INTEGER) - 1) WHEN month_insurance_pension_6_filled <> 1152921504606846975 THEN 24179 - (CAST(bit_count(xor(month_insurance_pension_6_filled, month_insurance_pension_6_filled + 1)) AS INTEGER) - 1) WHEN month_insurance_pension_5_filled <> 1152921504606846975 THEN 24119 - (CAST(bit_count(xor(month_insurance_pension_5_filled, month_insurance_pension_5_filled + 1)) AS INTEGER) - 1) WHEN month_insurance_pension_4_filled <> 1152921504606846975 THEN 24059 - (CAST(bit_count(xor(month_insurance_pension_4_filled, month_insurance_pension_4_filled + 1)) AS INTEGER) - 1) WHEN month_insurance_pension_3_filled <> 1152921504606846975 THEN 23999 - (CAST(bit_count(xor(month_insurance_pension_3_filled, month_insurance_pension_3_filled + 1)) AS INTEGER) - 1) WHEN month_insurance_pension_2_filled <> 1152921504606846975 THEN 23939 - (CAST(bit_count(xor(month_insurance_pension_2_filled, month_insurance_pension_2_filled + 1)) AS INTEGER) - 1) WHEN month_insurance_pension_1_filled <> 1152921504606846975 THEN 23879 - (CAST(bit_count(xor(month_insurance_pension_1_filled, month_insurance_pension_1_filled + 1)) AS INTEGER) - 1) WHEN month_insurance_pension_0_filled <> 1152921504606846975 THEN 23819 - (CAST(bit_count(xor(month_insurance_pension_0_filled, month_insurance_pension_0_filled + 1)) AS INTEGER) - 1) ELSE 23759 END AS month_insurance_pension_break
    FROM filled
)
SELECT person,
    CAST(month_insurance_pension_newest - month_insurance_pension_break AS INTEGER) AS pension_run_months
FROM runs

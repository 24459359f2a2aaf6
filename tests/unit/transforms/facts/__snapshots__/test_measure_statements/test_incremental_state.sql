-- disputed_postings_social_security

WITH disputed AS (SELECT DISTINCT person, insurance, month FROM previous_disputed_postings_social_security),
reversed AS (
    SELECT DISTINCT person, insurance, month FROM counted_social_security WHERE received > $state_month AND kind = 'reversed'
),
newly_disputed AS (SELECT person, insurance, month FROM reversed ANTI JOIN disputed USING (person, insurance, month)),
postings AS (
    SELECT person, insurance, month, employer_id, held, taken_back FROM previous_disputed_postings_social_security
    UNION ALL
    SELECT person, insurance, month, employer_id,
        CASE WHEN kind = 'paid' THEN posted_on END AS held,
        CASE WHEN kind = 'reversed' THEN posted_on END AS taken_back
    FROM counted_social_security SEMI JOIN disputed USING (person, insurance, month) WHERE received > $state_month
    UNION ALL
    SELECT person, insurance, month, employer_id,
        CASE WHEN kind = 'paid' THEN posted_on END AS held,
        CASE WHEN kind = 'reversed' THEN posted_on END AS taken_back
    FROM counted_social_security SEMI JOIN newly_disputed USING (person, insurance, month)
)
SELECT person, insurance, month, employer_id, max(held) AS held, max(taken_back) AS taken_back
FROM postings GROUP BY person, insurance, month, employer_id

-- month_bitmaps_social_security

WITH added AS (
    SELECT person, count(*) AS postings,
    coalesce(bit_or(CASE WHEN month BETWEEN 23760 AND 23819 AND insurance IN ('pension') AND kind = 'paid' THEN CAST(1 AS BIGINT) << (23819 - month) END), 0) AS month_insurance_pension_0,
    coalesce(bit_or(CASE WHEN month BETWEEN 23820 AND 23879 AND insurance IN ('pension') AND kind = 'paid' THEN CAST(1 AS BIGINT) << (23879 - month) END), 0) AS month_insurance_pension_1,
    coalesce(bit_or(CASE WHEN month BETWEEN 23880 AND 23939 AND insurance IN ('pension') AND kind = 'paid' THEN CAST(1 AS BIGINT) << (23939 - month) END), 0) AS month_insurance_pension_2,
    coalesce(bit_or(CASE WHEN month BETWEEN 23940 AND 23999 AND insurance IN ('pension') AND kind = 'paid' THEN CAST(1 AS BIGINT) << (23999 - month) END), 0) AS month_insurance_pension_3,
    coalesce(bit_or(CASE WHEN month BETWEEN 24000 AND 24059 AND insurance IN ('pension') AND kind = 'paid' THEN CAST(1 AS BIGINT) << (24059 - month) END), 0) AS month_insurance_pension_4,
    coalesce(bit_or(CASE WHEN month BETWEEN 24060 AND 24119 AND insurance IN ('pension') AND kind = 'paid' THEN CAST(1 AS BIGINT) << (24119 - month) END), 0) AS month_insurance_pension_5,
    coalesce(bit_or(CASE WHEN month BETWEEN 24120 AND 24179 AND insurance IN ('pension') AND kind = 'paid' THEN CAST(1 AS BIGINT) << (24179 - month) END), 0) AS month_insurance_pension_6,
    coalesce(bit_or(CASE WHEN month BETWEEN 24180 AND 24239 AND insurance IN ('pension') AND kind = 'paid' THEN CAST(1 AS BIGINT) << (24239 - month) END), 0) AS month_insurance_pension_7,
    coalesce(bit_or(CASE WHEN month BETWEEN 24240 AND 24299 AND insurance IN ('pension') AND kind = 'paid' THEN CAST(1 AS BIGINT) << (24299 - month) END), 0) AS month_insurance_pension_8,
    coalesce(bit_or(CASE WHEN month BETWEEN 24300 AND 24359 AND insurance IN ('pension') AND kind = 'paid' THEN CAST(1 AS BIGINT) << (24359 - month) END), 0) AS month_insurance_pension_9
    FROM counted_social_security WHERE received > $state_month
    GROUP BY person
)
SELECT coalesce(a.person, b.person) AS person,
    coalesce(a.postings, 0) + coalesce(b.postings, 0) AS postings,
    coalesce(b.month_insurance_pension_0, 0) | coalesce(a.month_insurance_pension_0, 0) AS month_insurance_pension_0,
    coalesce(b.month_insurance_pension_1, 0) | coalesce(a.month_insurance_pension_1, 0) AS month_insurance_pension_1,
    coalesce(b.month_insurance_pension_2, 0) | coalesce(a.month_insurance_pension_2, 0) AS month_insurance_pension_2,
    coalesce(b.month_insurance_pension_3, 0) | coalesce(a.month_insurance_pension_3, 0) AS month_insurance_pension_3,
    coalesce(b.month_insurance_pension_4, 0) | coalesce(a.month_insurance_pension_4, 0) AS month_insurance_pension_4,
    coalesce(b.month_insurance_pension_5, 0) | coalesce(a.month_insurance_pension_5, 0) AS month_insurance_pension_5,
    coalesce(b.month_insurance_pension_6, 0) | coalesce(a.month_insurance_pension_6, 0) AS month_insurance_pension_6,
    coalesce(b.month_insurance_pension_7, 0) | coalesce(a.month_insurance_pension_7, 0) AS month_insurance_pension_7,
    coalesce(b.month_insurance_pension_8, 0) | coalesce(a.month_insurance_pension_8, 0) AS month_insurance_pension_8,
    coalesce(b.month_insurance_pension_9, 0) | coalesce(a.month_insurance_pension_9, 0) AS month_insurance_pension_9
FROM previous_month_bitmaps_social_security AS b FULL JOIN added AS a ON a.person = b.person

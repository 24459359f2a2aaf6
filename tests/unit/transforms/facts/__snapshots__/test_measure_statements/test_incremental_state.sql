-- month_bitmaps_social_security

SELECT person, word, CAST(sum(postings) AS BIGINT) AS postings,
    bit_or(month_insurance_pension) AS month_insurance_pension
FROM (
    SELECT person, word, postings, month_insurance_pension FROM previous_month_bitmaps_social_security
    UNION ALL
    SELECT person, CAST(month // 60 AS INTEGER) AS word, 1 AS postings,
    CASE WHEN kind = 'paid' AND insurance IN ('pension') THEN (CAST(1 AS BIGINT) << (59 - month % 60)) ELSE 0 END AS month_insurance_pension
    FROM counted_social_security WHERE received > $state_month
)
GROUP BY person, word

-- disputed_postings_social_security

WITH reversed_month AS (
    SELECT DISTINCT person, month FROM counted_social_security
    WHERE received > $state_month AND kind = 'reversed'
),
disputed_month AS (
    SELECT DISTINCT person, month FROM previous_disputed_postings_social_security
),
postings AS (
    SELECT person, month, insurance, employer_id, held, taken_back FROM previous_disputed_postings_social_security
    UNION ALL
    SELECT person, month, insurance, employer_id,
        CASE WHEN kind = 'paid' THEN posted_on END AS held,
        CASE WHEN kind = 'reversed' THEN posted_on END AS taken_back
    FROM counted_social_security SEMI JOIN reversed_month USING (person, month)
    UNION ALL
    SELECT person, month, insurance, employer_id,
        CASE WHEN kind = 'paid' THEN posted_on END AS held,
        CASE WHEN kind = 'reversed' THEN posted_on END AS taken_back
    FROM counted_social_security SEMI JOIN disputed_month USING (person, month) WHERE received > $state_month
)
SELECT person, month, insurance, employer_id, max(held) AS held, max(taken_back) AS taken_back
FROM postings GROUP BY person, month, insurance, employer_id

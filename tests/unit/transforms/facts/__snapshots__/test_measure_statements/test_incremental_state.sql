-- month_bitmaps_social_security

SELECT person, word, CAST(sum(postings) AS BIGINT) AS postings,
    bit_or(month_insurance_pension) AS month_insurance_pension,
    bit_or(month_reversed) AS month_reversed
FROM (
    SELECT person, word, postings, month_insurance_pension, month_reversed FROM previous_month_bitmaps_social_security
    UNION ALL
    SELECT person, CAST(month // 60 AS INTEGER) AS word, 1 AS postings,
    CASE WHEN kind = 'paid' AND insurance IN ('pension') THEN (CAST(1 AS BIGINT) << (59 - month % 60)) ELSE 0 END AS month_insurance_pension,
    CASE WHEN kind = 'reversed' THEN (CAST(1 AS BIGINT) << (59 - month % 60)) ELSE 0 END AS month_reversed
    FROM counted_social_security WHERE received > $state_month
)
GROUP BY person, word

-- disputed_postings_social_security

WITH reversed AS (
    SELECT person, word, month_reversed FROM month_bitmaps_social_security WHERE month_reversed <> 0
),
before AS (
    SELECT person, word, month_reversed FROM previous_month_bitmaps_social_security WHERE month_reversed <> 0
),
first_reversed AS (
    SELECT r.person, r.word, r.month_reversed & ~coalesce(b.month_reversed, 0) AS month_reversed
    FROM reversed AS r LEFT JOIN before AS b ON b.person = r.person AND b.word = r.word
    WHERE r.month_reversed <> coalesce(b.month_reversed, 0)
),
postings AS (
    SELECT person, month, insurance, employer_id, held, taken_back FROM previous_disputed_postings_social_security
    UNION ALL
    SELECT person, month, insurance, employer_id,
        CASE WHEN kind = 'paid' THEN posted_on END AS held,
        CASE WHEN kind = 'reversed' THEN posted_on END AS taken_back
    FROM counted_social_security JOIN reversed USING (person)
    WHERE received > $state_month AND reversed.word = CAST(month // 60 AS INTEGER)
        AND (reversed.month_reversed & (CAST(1 AS BIGINT) << (59 - month % 60))) <> 0
    UNION ALL
    SELECT person, month, insurance, employer_id,
        CASE WHEN kind = 'paid' THEN posted_on END AS held,
        CASE WHEN kind = 'reversed' THEN posted_on END AS taken_back
    FROM counted_social_security JOIN first_reversed USING (person)
    WHERE received <= $state_month AND first_reversed.word = CAST(month // 60 AS INTEGER)
        AND (first_reversed.month_reversed & (CAST(1 AS BIGINT) << (59 - month % 60))) <> 0
)
SELECT person, month, insurance, employer_id, max(held) AS held, max(taken_back) AS taken_back
FROM postings GROUP BY person, month, insurance, employer_id

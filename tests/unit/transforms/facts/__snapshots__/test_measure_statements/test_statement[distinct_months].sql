-- cases_social_security

WITH known AS (SELECT DISTINCT person, insurance, month FROM cases_social_security_before),
found AS (SELECT DISTINCT person, insurance, month FROM rows_social_security WHERE received > $handed_on AND kind = 'reversed'),
added AS (SELECT * FROM found ANTI JOIN known USING (person, insurance, month)),
postings AS (
    SELECT * FROM cases_social_security_before
    UNION ALL
    SELECT person, insurance, month, employer_id,
        CASE WHEN kind = 'paid' THEN posted_on END AS held,
        CASE WHEN kind = 'reversed' THEN posted_on END AS taken_back
    FROM rows_social_security SEMI JOIN known USING (person, insurance, month) WHERE received > $handed_on
    UNION ALL
    SELECT person, insurance, month, employer_id,
        CASE WHEN kind = 'paid' THEN posted_on END AS held,
        CASE WHEN kind = 'reversed' THEN posted_on END AS taken_back
    FROM rows_social_security SEMI JOIN added USING (person, insurance, month)
)
SELECT person, insurance, month, employer_id, max(held) AS held, max(taken_back) AS taken_back
FROM postings GROUP BY ALL

-- words_social_security

WITH a AS (
    SELECT person, count(*) AS postings,
    coalesce(bit_or(CASE WHEN insurance IN ('pension') AND kind = 'paid' AND $month + 12 - month BETWEEN 0 AND 119 THEN CAST(1 AS HUGEINT) << CAST($month + 12 - month - 0 AS HUGEINT) END), CAST(0 AS HUGEINT)) AS month_pension_0,
    coalesce(bit_or(CASE WHEN insurance IN ('pension') AND kind = 'paid' AND $month + 12 - month BETWEEN 120 AND 239 THEN CAST(1 AS HUGEINT) << CAST($month + 12 - month - 120 AS HUGEINT) END), CAST(0 AS HUGEINT)) AS month_pension_1,
    list(month) FILTER (WHERE month <= $month + -228 AND insurance IN ('pension') AND kind = 'paid') AS month_pension_old
    FROM rows_social_security WHERE received > $handed_on AND hash(person) % CAST($parts AS UBIGINT) = CAST($part AS UBIGINT)
    GROUP BY person
),
b AS (FROM words_social_security_before WHERE hash(person) % CAST($parts AS UBIGINT) = CAST($part AS UBIGINT))
SELECT coalesce(a.person, b.person) AS person, coalesce(a.postings, 0) + coalesce(b.postings, 0) AS postings,
    CAST(CAST((((coalesce(CAST(CAST(b.month_pension_0 AS UHUGEINT) AS HUGEINT), CAST(0 AS HUGEINT)) & CAST(664613997892457936451903530140172287 AS HUGEINT)) << CAST(1 AS HUGEINT)) + CAST(0 AS HUGEINT)) | coalesce(a.month_pension_0, CAST(0 AS HUGEINT)) AS UHUGEINT) AS UUID) AS month_pension_0,
    CAST(CAST((((coalesce(CAST(CAST(b.month_pension_1 AS UHUGEINT) AS HUGEINT), CAST(0 AS HUGEINT)) & CAST(664613997892457936451903530140172287 AS HUGEINT)) << CAST(1 AS HUGEINT)) + (coalesce(CAST(CAST(b.month_pension_0 AS UHUGEINT) AS HUGEINT), CAST(0 AS HUGEINT)) >> CAST(119 AS HUGEINT))) | coalesce(a.month_pension_1, CAST(0 AS HUGEINT)) AS UHUGEINT) AS UUID) AS month_pension_1,
    list_concat(b.month_pension_old, CASE WHEN (coalesce(CAST(CAST(b.month_pension_1 AS UHUGEINT) AS HUGEINT), CAST(0 AS HUGEINT)) >> CAST(119 AS HUGEINT)) = 1 THEN [$month + -228] END, a.month_pension_old) AS month_pension_old
FROM b FULL JOIN a ON a.person = b.person

-- months_social_security
WITH undone AS (
    SELECT person, insurance, month FROM cases_social_security GROUP BY ALL
    HAVING NOT bool_or(held IS NOT NULL AND (taken_back IS NULL OR held > taken_back))
),
u AS (SELECT person, coalesce(bit_or(CASE WHEN insurance IN ('pension') AND true AND $month + 12 - month BETWEEN 0 AND 119 THEN CAST(1 AS HUGEINT) << CAST($month + 12 - month - 0 AS HUGEINT) END), CAST(0 AS HUGEINT)) AS month_pension_0,
    coalesce(bit_or(CASE WHEN insurance IN ('pension') AND true AND $month + 12 - month BETWEEN 120 AND 239 THEN CAST(1 AS HUGEINT) << CAST($month + 12 - month - 120 AS HUGEINT) END), CAST(0 AS HUGEINT)) AS month_pension_1,
    list(month) FILTER (WHERE month <= $month + -228 AND insurance IN ('pension') AND true) AS month_pension_old FROM undone GROUP BY person),
standing AS (
    SELECT w.person, CAST(CAST(w.month_pension_0 AS UHUGEINT) AS HUGEINT) & ~coalesce(u.month_pension_0, CAST(0 AS HUGEINT)) AS month_pension_0, CAST(CAST(w.month_pension_1 AS UHUGEINT) AS HUGEINT) & ~coalesce(u.month_pension_1, CAST(0 AS HUGEINT)) AS month_pension_1, list_filter(w.month_pension_old, lambda m: NOT coalesce(list_contains(u.month_pension_old, m), false)) AS month_pension_old
    FROM words_social_security AS w LEFT JOIN u ON u.person = w.person
),
olds AS (SELECT * REPLACE ((month_pension_0 >> CAST(12 AS HUGEINT)) | ((month_pension_1 & CAST(4095 AS HUGEINT)) << CAST(108 AS HUGEINT)) AS month_pension_0, month_pension_1 >> CAST(12 AS HUGEINT) AS month_pension_1, list_reverse_sort(list_distinct(coalesce(month_pension_old, []))) AS month_pension_old) FROM standing),
gaps AS (SELECT *, CASE WHEN month_pension_0 <> 0 THEN (CAST(bit_count(xor(month_pension_0, month_pension_0 - 1)) AS INTEGER) - 1) WHEN month_pension_1 <> 0 THEN 120 + (CAST(bit_count(xor(month_pension_1, month_pension_1 - 1)) AS INTEGER) - 1) ELSE $month - month_pension_old[1] END AS month_pension_gap FROM olds),
runs AS (SELECT *, CASE WHEN month_pension_gap >= 228 THEN 0 WHEN month_pension_gap >= 120 THEN (CAST(bit_count(xor((month_pension_1 >> (month_pension_gap - 120)), (month_pension_1 >> (month_pension_gap - 120)) + 1)) AS INTEGER) - 1) WHEN month_pension_gap + (CAST(bit_count(xor((month_pension_0 >> month_pension_gap), (month_pension_0 >> month_pension_gap) + 1)) AS INTEGER) - 1) = 120 THEN 120 - month_pension_gap + (CAST(bit_count(xor(month_pension_1, month_pension_1 + 1)) AS INTEGER) - 1) ELSE (CAST(bit_count(xor((month_pension_0 >> month_pension_gap), (month_pension_0 >> month_pension_gap) + 1)) AS INTEGER) - 1) END AS month_pension_run FROM gaps)
SELECT person,
    CAST(CAST(bit_count(month_pension_0) AS INTEGER) + CAST(bit_count(month_pension_1) AS INTEGER) + len(month_pension_old) AS INTEGER) AS pension_months
FROM runs

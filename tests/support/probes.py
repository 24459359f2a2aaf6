"""Small queries, at least one for every construct of the closed list, over values at the edges."""

from __future__ import annotations

SAMPLES = """
SELECT * FROM (VALUES
    (1, 7, 3, '  a:b ', '330211:award', DATE '2024-01-31', 12.345, 0.0001, true, 24240, 'x', 'p'),
    (2, -7, 3, '', '', DATE '2024-02-29', -2.345, 3.5, false, 24241, 'y', 'p'),
    (3, 0, 60, '欧阳一二', '330211:AWARD', DATE '2023-02-28', 0.005, 0.3333, true, 23999, '', 'q'),
    (4, 1152921504606846975, 1, 'a''b\\c"', '3302111:award', DATE '0001-01-01', 99999.99, 1.0,
        NULL, 12, NULL, 'q'),
    (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'q'),
    (6, 4611686018427387904, 0, '\u0130X\u212ay ß', 'ΑΣ', DATE '2100-12-31', -0.005, 0.9999, false,
        24251, 'x', 'r'),
    (7, -1, 59, '10.00', 'fact:a' || chr(10), DATE '2024-04-30', 1000000.5, 0.25, true, 24247, 'z', 'r')
) AS given(id, n, small, words, code, day, amount, share, yes, month_number, item, grp)"""
"""One row per sample; `n` BIGINT, `small` INTEGER, `share` and `amount` decimals."""

TYPED_SAMPLES = f"""
SELECT id, CAST(n AS BIGINT) AS n, CAST(small AS INTEGER) AS small, words, code, day,
    CAST(amount AS DECIMAL(18, 3)) AS amount, CAST(share AS DECIMAL(38, 4)) AS share, yes,
    CAST(month_number AS INTEGER) AS month_number, item, grp,
    CASE WHEN id < 3 THEN [{{'k': item, 'v': small}}, NULL] WHEN id < 5 THEN [] END AS listed
FROM ({SAMPLES})"""

_TEXT = "CAST({} AS VARCHAR)"

EXPRESSIONS = {
    "arithmetic": "n % 7 + 2 - small * 3",
    "negative": "-small",
    "whole_division": "n // 3",
    "division_of_negatives": "n // -2",
    "remainder": "n % 4",
    "null_if": "n // nullif(small, 0)",
    "shift": "CAST(1 AS BIGINT) << greatest(least(small, 60), 0)",
    "shift_right": "(n & 1152921504606846975) >> 3",
    "bits": "bit_count(n & 255) + bit_count(xor(n, n - 1))",
    "bits_not": "n & ~(CAST(1 AS BIGINT) << 3)",
    "bits_or": "small | 8",
    "concatenation": "words || '；' || code",
    "number_as_text": _TEXT.format("amount") + " || 'x'",
    "date_as_text": _TEXT.format("day"),
    "boolean_as_text": _TEXT.format("yes"),
    "comparisons": "n = small OR n <> small AND n < 3 OR n <= 0 AND n > -7 OR n >= small",
    "null_safe": "n IS DISTINCT FROM small AND item IS NOT DISTINCT FROM 'x'",
    "is_null": "n IS NULL OR NOT yes",
    "is_not_true": "(yes) IS NOT TRUE",
    "in_list": "item IN ('x', 'y')",
    "in_nothing": "item IN (NULL)",
    "between": "amount BETWEEN -2.345 AND 12.345",
    "like": "code LIKE 'fact:%'",
    "case_of_values": "CASE item WHEN 'x' THEN 1 WHEN '' THEN 2 ELSE 0 END",
    "case_of_conditions": "CASE WHEN yes THEN amount WHEN NOT yes THEN -1 END",
    "round_by_cast": "CAST(amount AS DECIMAL(12, 2))",
    "round_to_whole": "CAST(amount AS DECIMAL(12, 0))",
    "amount_times_share": "CAST(amount * share AS DECIMAL(30, 7))",
    "cents": "CAST(greatest(ceil((60 - amount) * 100), 0) * 0.01 AS DECIMAL(12, 2))",
    "floor": "CAST(floor(amount * 100) * 0.01 AS DECIMAL(12, 2))",
    "decimal_to_whole": "CAST(CAST(amount AS DECIMAL(12, 2)) * 100 AS BIGINT) // 7",
    "abs": "abs(small - 30)",
    "greatest_least": "greatest(least(small, 5), id)",
    "coalesce": "coalesce(small, id, 0)",
    "year_month_day": "year(day) * 10000 + month(day) * 100 + day(day)",
    "months_between": "year(day) * 12 + month(day) - 24000",
    "date_literal": "day > DATE '2024-02-28'",
    "make_date": "make_date(month_number // 12, month_number % 12 + 1, 1)",
    "days_added": "day + 45",
    "days_taken": "day - 3",
    "months_before": "CAST(day - INTERVAL 3 MONTH AS DATE)",
    "last_day_months_before": "last_day(day - INTERVAL 2 MONTH)",
    "first_of_month": "CAST(date_trunc('month', $as_of) AS DATE)",
    "left": "left(words, 2)",
    "right": "right(words, 2)",
    "length": "length(words)",
    "trim_of_a_set": "rtrim(rtrim('10.00', '0'), '.')",
    "pad": "lpad(CAST(id AS VARCHAR), 4, '0')",
    "substring": "substr('10X98765432', CAST(id AS INTEGER) + 1, 1)",
    "split_part": "split_part(code, ':', 1)",
    "position": "strpos(code, ':')",
    "matches": r"regexp_matches(code, '\A(?:[0-9]{6}:[a-z][a-z0-9_]*)\z')",
    "hmac": "sha256($outer || unhex(sha256($inner || CAST(CAST(id AS VARCHAR) AS BLOB))))",
    "list_length": "array_length(listed)",
    "list_filter": "array_length(list_filter(listed, lambda one: one.k = item))",
    "list_max": "list_max(list_transform(listed, lambda one: one.v))",
    "list_or_empty": "coalesce(listed, [])",
    "list_of_cases": "array_length(list_filter(CAST([CASE WHEN yes THEN {'k': item, 'v': 1} END]"
    " AS STRUCT(k VARCHAR, v INTEGER)[]), lambda one: one IS NOT NULL))",
    "parameter": "day <= $as_of",
}
"""Expressions over a sample that need no rule."""

QUERIES = {
    "aggregates": "SELECT grp, count(*) AS a, count(n) AS b, CAST(sum(small) AS BIGINT) AS c,"
    " min(day) AS d, max(amount) AS e, bool_or(yes) AS f, count(DISTINCT item) AS g,"
    " bit_or(small) AS h, CAST(sum(amount) AS DECIMAL(20, 3)) AS i FROM samples GROUP BY grp",
    "filters": "SELECT grp, count(*) FILTER (WHERE yes) AS a, max(n) FILTER (WHERE id > 100) AS b"
    " FROM samples GROUP BY grp HAVING count(*) > 1",
    "any_value": "SELECT grp, any_value(grp) AS a FROM samples GROUP BY grp",
    "sorted_list": "SELECT grp, CAST(list_sort(list({'a': id, 'b': grp}) FILTER (WHERE id <> 2))"
    " AS STRUCT(a INTEGER, b VARCHAR)[]) AS listed FROM samples GROUP BY grp",
    "picked_row": "SELECT grp, max({'a': id, 'b': item}).b AS picked FROM samples GROUP BY grp",
    "distinct": "SELECT DISTINCT grp FROM samples",
    "windows": "SELECT id, row_number() OVER (PARTITION BY grp ORDER BY item, id) AS a,"
    " rank() OVER (ORDER BY grp DESC) AS b, dense_rank() OVER (ORDER BY small DESC NULLS LAST) AS c,"
    " CAST(sum(id) OVER (PARTITION BY grp ORDER BY id ROWS UNBOUNDED PRECEDING) AS BIGINT) AS d,"
    " max(small) OVER (PARTITION BY grp ORDER BY id"
    " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS e FROM samples",
    "qualify": "SELECT id, grp FROM samples"
    " QUALIFY row_number() OVER (PARTITION BY grp ORDER BY item DESC, id) = 1",
    "semi_and_anti_joins": "WITH those AS (SELECT id FROM samples WHERE yes)"
    " SELECT id, 'in' AS found FROM samples SEMI JOIN those USING (id)"
    " UNION ALL SELECT id, 'out' AS found FROM samples ANTI JOIN those USING (id)",
    "outer_joins": "SELECT coalesce(a.id, b.id) AS id, a.item, b.grp FROM"
    " (SELECT id, item FROM samples WHERE id < 4) AS a FULL JOIN"
    " (SELECT id, grp FROM samples WHERE id > 2) AS b ON a.id = b.id",
    "left_join": "SELECT samples.*, given.title FROM samples LEFT JOIN"
    " (VALUES ('x', '甲'), (NULL, NULL)) AS given(item, title) ON given.item = samples.item",
    "exists": "SELECT id FROM samples AS a WHERE NOT EXISTS"
    " (SELECT 1 FROM samples AS b WHERE b.small = a.id)",
    "scalar_subquery": "SELECT id FROM samples WHERE small = (SELECT max(small) FROM samples)",
    "unnest": "SELECT id, unnest(list_filter(listed, lambda one: one IS NOT NULL)) AS one"
    " FROM samples",
    "nothing": "SELECT CAST(NULL AS BIGINT) AS a, CAST(NULL AS VARCHAR) AS b WHERE false",
    "in_subquery": "SELECT id FROM samples WHERE id IN (SELECT small FROM samples)",
    "order_of_texts": "SELECT words, row_number() OVER (ORDER BY words, id) AS place FROM samples",
}

OF_RULES = {
    "group_bitwise_operators": "SELECT id, small | 1 & 2 AS value FROM samples",
    "order_null_fields_last": "SELECT grp, max({'a': item, 'b': id}).b AS picked,"
    " arg_max(id, (item, id)) AS greatest,"
    " list_sort(list({'a': item, 'b': id})) AS listed FROM samples GROUP BY grp",
    "skip_null_arguments": "SELECT grp, arg_max(item, id) AS value FROM samples GROUP BY grp",
    "trim_all_spaces": "SELECT id, trim('\u3000' || words || '\u00a0 ') AS value FROM samples",
    "lower_dotted_i": "SELECT id, lower(words) AS value FROM samples",
    "collect_subqueries": "SELECT grp, count(*) FILTER (WHERE id IN (SELECT small FROM samples"
    " WHERE small > 0)) AS value FROM samples GROUP BY grp",
}
"""By the name of a rule a query that comes out right with it, and otherwise without it."""

NEEDED_BY_SAIL = {"collect_subqueries"}
"""The rules that Apache Spark does not need."""

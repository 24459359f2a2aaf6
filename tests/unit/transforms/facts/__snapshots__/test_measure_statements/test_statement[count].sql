-- facts_children
SELECT person,
    count(*) FILTER (WHERE enrolled IN ('none', 'kindergarten') AND child_id // 1000 % 100000000 BETWEEN (((year($as_of) + CAST(month($as_of) > 8 AS INTEGER)) - 6) - 1) * 10000 + 901 AND ((year($as_of) + CAST(month($as_of) > 8 AS INTEGER)) - 6) * 10000 + 831) AS children_due_primary
FROM counted_children
WHERE (enrolled IN ('none', 'kindergarten') AND child_id // 1000 % 100000000 BETWEEN (((year($as_of) + CAST(month($as_of) > 8 AS INTEGER)) - 6) - 1) * 10000 + 901 AND ((year($as_of) + CAST(month($as_of) > 8 AS INTEGER)) - 6) * 10000 + 831)
GROUP BY person

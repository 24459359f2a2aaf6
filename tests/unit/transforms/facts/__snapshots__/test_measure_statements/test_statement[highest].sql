-- facts_credit
SELECT person,
    max(CASE level WHEN 'district' THEN 1 WHEN 'city' THEN 2 WHEN 'provincial' THEN 3 WHEN 'national' THEN 4 END) FILTER (WHERE kind IN ('honour') AND on_date > last_day($as_of - INTERVAL 60 MONTH) AND on_date <= $as_of) AS honour_level
FROM counted_credit
WHERE (kind IN ('honour') AND on_date > last_day($as_of - INTERVAL 60 MONTH) AND on_date <= $as_of)
GROUP BY person

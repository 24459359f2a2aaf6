-- 本月总分下降最多的一百人是谁，因为哪些项目？
-- Which hundred residents lost most points this month, and through which items?
WITH lost AS (
    SELECT resident_key, district, -effect AS points_lost
    FROM latest_score_changes
    WHERE kind = 'total' AND after < before
    ORDER BY points_lost DESC, resident_key
    LIMIT 100
)
SELECT resident_key, lost.district, points_lost,
    list(item || ' ' || CAST(effect AS VARCHAR) ORDER BY item) AS reasons
FROM lost JOIN latest_score_changes AS items USING (resident_key)
WHERE kind = 'indicator' AND effect <> 0
GROUP BY ALL
ORDER BY points_lost DESC, resident_key;

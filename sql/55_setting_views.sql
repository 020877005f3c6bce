-- Defaults and comments of the columns of the views, from the settings.
DO $make$
DECLARE
    s pgqueue_internal.setting;
BEGIN
    FOR s IN SELECT k.* FROM pgqueue_internal.setting k LOOP
        IF s.preset IS NOT NULL THEN
            EXECUTE pg_catalog.format('ALTER VIEW pgqueue.%I ALTER %I SET DEFAULT %L', s.object, s.name, s.preset);
        END IF;
        EXECUTE pg_catalog.format('COMMENT ON COLUMN pgqueue.%I.%I IS %L', s.object, s.name,
            CASE WHEN s.comment LIKE '%default%' THEN s.comment
                ELSE pg_catalog.concat(s.comment, '; default ' || s.preset) END);
    END LOOP;
END
$make$;

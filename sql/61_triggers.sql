-- Makes all triggers of the extension fire always. They tell memory and caches of changes, of rights above all, and put
-- restored rows right. So they must fire whatever session_replication_role says. Views cannot have such triggers: there
-- the library raises an error (src/api/replica.cpp).

DO $make$
DECLARE
    t record;
BEGIN
    FOR t IN
        SELECT g.tgrelid::pg_catalog.regclass AS relation, g.tgname AS name
        FROM pg_catalog.pg_trigger g, pg_catalog.pg_class c
        WHERE c.oid = g.tgrelid AND c.relnamespace = 'pgqueue_internal'::pg_catalog.regnamespace AND c.relkind = 'r'
            AND NOT g.tgisinternal
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', t.relation, t.name);
    END LOOP;
END
$make$;

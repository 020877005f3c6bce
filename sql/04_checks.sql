-- Checks of arguments and settings, and what the caller may see: the one place of each rule.

-- Raises 22004 naming the argument when its value is NULL.
CREATE FUNCTION pgqueue_internal.check_given(argument text, value text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF value IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = format('argument "%s" must not be NULL', argument);
    END IF;
END
$$;

-- Raises 22023 with the valid words as hint.
CREATE FUNCTION pgqueue_internal.check_word(setting text, value text, words text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF value <> ALL (words) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid value for "%s": "%s"', setting, value),
            HINT = concat_ws(' ', pgqueue_internal.perhaps('', value, words),
                format('Valid values: %s.', array_to_string(words, ', ')));
    END IF;
END
$$;

-- Raises 22023 for a text of more than `longest` bytes.
CREATE FUNCTION pgqueue_internal.check_length(setting text, value text, longest integer, hint text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF octet_length(value) > longest THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('"%s" must have at most %s bytes', setting, longest),
            DETAIL = format('It has %s.', octet_length(value)), HINT = hint;
    END IF;
END
$$;

-- Raises 22023 with the range as hint; highest NULL: no upper end. NaN is in no range.
CREATE FUNCTION pgqueue_internal.check_range(setting text, value numeric, lowest numeric, highest numeric) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF value < lowest OR value > highest OR value = 'NaN' OR value = 'Infinity' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('"%s" is out of range: %s', setting, value),
            HINT = CASE WHEN value IN ('NaN', 'Infinity') AND highest IS NULL
                            THEN format('It must be %s or more, and finite.', lowest)
                        WHEN highest IS NULL THEN format('It must be %s or more.', lowest)
                        ELSE format('It must be between %s and %s.', lowest, highest) END;
    END IF;
END
$$;

-- Raises 22023 for a negative or endless interval and, unless zero_allowed, for zero.
CREATE FUNCTION pgqueue_internal.check_interval(setting text, value interval, zero_allowed boolean) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF value < '0' OR value > '1000 years'
        OR (value = '0' AND NOT (zero_allowed AND value::text = '0'::interval::text)) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('"%s" is out of range: %s', setting, value),
            HINT = CASE WHEN zero_allowed THEN 'It must be between 0 and 1000 years.'
                ELSE 'It must be more than 0 and at most 1000 years.' END;
    END IF;
END
$$;

-- Raises 22023 for a time that is not finite or that no calendar needs; NULL is none.
CREATE FUNCTION pgqueue_internal.check_moment(setting text, value timestamptz) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF value < '1970-01-01 00:00+00' OR value >= '10000-01-01 00:00+00' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('"%s" is out of range: %s', setting, value),
            HINT = 'It must be a time of the years 1970 to 9999.';
    END IF;
END
$$;

-- Raises 0A000 for a column of a view that INSERT or UPDATE may not set.
CREATE FUNCTION pgqueue_internal.refuse_column(column_name text, view_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
        MESSAGE = format('column "%s" of view "%s" cannot be set', column_name, view_name),
        HINT = 'Omit this column; the functions of schema pgqueue may change what the view cannot.';
END
$$;

-- Raises 40001: what stands in the way was made since this transaction's snapshot, or is gone again.
CREATE FUNCTION pgqueue_internal.refuse_unseen() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
        MESSAGE = 'could not serialize access due to concurrent update',
        HINT = 'The transaction might succeed if retried.';
END
$$;

-- Raises 22023 for an update that changes nothing.
CREATE FUNCTION pgqueue_internal.check_patched(is_given boolean) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT is_given THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'no patch values',
            HINT = 'Give at least one setting to change.';
    END IF;
END
$$;

-- A text without the white space at its ends.
CREATE FUNCTION pgqueue_internal.trimmed(value text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN pg_catalog.btrim(value, E' \t\n\r\f\x0b');

-- The oid of a role; the word public is 0 where it is allowed. 42704 when there is none.
CREATE FUNCTION pgqueue_internal.role_oid(role_name text, public_allowed boolean) RETURNS oid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_oid oid;
BEGIN
    PERFORM pgqueue_internal.check_given('role', role_name);
    IF public_allowed AND role_name = 'public' THEN
        RETURN 0;
    END IF;
    SELECT a.oid INTO found_oid FROM pg_catalog.pg_roles a WHERE a.rolname = role_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('role "%s" does not exist', role_name),
            HINT = 'Create it with CREATE ROLE.';
    END IF;
    RETURN found_oid;
END
$$;

-- The present name of a role; the stored one when the role is gone.
CREATE FUNCTION pgqueue_internal.role_name(role oid, stored text) RETURNS text
LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN coalesce((SELECT a.rolname::text COLLATE "default" FROM pg_catalog.pg_roles a WHERE a.oid = role_name.role),
    stored);

-- Whether a role has the rights of another, which may be gone.
CREATE FUNCTION pgqueue_internal.is_member(role oid, granted oid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN coalesce((SELECT pg_catalog.pg_has_role(is_member.role, a.oid, 'USAGE')
                 FROM pg_catalog.pg_roles a WHERE a.oid = granted), false);

-- Raises 42501 unless the caller has any right in the namespace.
CREATE FUNCTION pgqueue_internal.check_seen(namespace_id integer) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    namespace_name text;
BEGIN
    IF NOT pgqueue_internal.may(namespace_id, 'see') THEN
        SELECT n.name INTO namespace_name FROM pgqueue_internal.namespace n WHERE n.id = namespace_id;
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('permission denied for namespace "%s"', namespace_name),
            DETAIL = format('Role "%s" has no privilege in it.',
                pgqueue_internal.role_name(pgqueue_internal.caller(), '')),
            HINT = format('SELECT pgqueue.grant_namespace(%L, ''read'', %L);', namespace_name,
                          pgqueue_internal.role_name(pgqueue_internal.caller(), ''));
    END IF;
    RETURN true;
END
$$;

-- A number that is no role's, for a role of this name that is not here.
CREATE FUNCTION pgqueue_internal.nobody(stored_name text) RETURNS oid
LANGUAGE sql IMMUTABLE
RETURN (4294967295 - (pg_catalog.hashtext(stored_name) & 1073741823))::oid;

-- The role of a stored row that comes from a dump: by name, as numbers are those of the old server. A role that is gone
-- gets a number that is nobody's, so that nobody inherits its rights; follow_roles() looks for the name again.
CREATE FUNCTION pgqueue_internal.restored_role(stored_name text) RETURNS oid
LANGUAGE sql STABLE
RETURN coalesce((SELECT a.oid FROM pg_catalog.pg_roles a WHERE a.rolname = stored_name),
    pgqueue_internal.nobody(stored_name));

-- Returns its argument. A comparison of a column that a view takes through it costs more than the rights of the row
-- (may_see_task and the like, COST 1), so the server asks for the rights first: of rows that a role may not see a
-- comparison tells nothing, neither by what EXPLAIN counts nor by what a query reads or by its time. Without it the
-- server would begin with the caller's comparison, if that is leakproof. Columns with an index, and names, do without.
CREATE FUNCTION pgqueue_internal.shown(anyelement) RETURNS anyelement
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2 AS 'MODULE_PATHNAME', 'pgqueue_internal_shown';

-- The namespaces that the calling role may see and what it may see of each. OFFSET 0 makes the server ask once
-- for each namespace, not for each task.
CREATE VIEW pgqueue_internal.visible AS
SELECT n.id, n.name,
    n.monitor OR n.manage OR n.read AS all_tasks,   -- otherwise its own
    n.use AS own_tasks,
    n.work AS held_tasks,                           -- those in its hands
    n.manage OR n.read AS bodies,                   -- payload, headers, result of tasks of others
    n.work OR n.manage AS receipts,
    n.monitor OR n.manage OR n.read AS statistics,
    n.monitor OR n.manage AS memory,
    n.owner AS grants
FROM (
    SELECT s.id, s.name,
        pgqueue_internal.may(s.id, 'use') AS use,
        pgqueue_internal.may(s.id, 'work') AS work,
        pgqueue_internal.may(s.id, 'manage') AS manage,
        pgqueue_internal.may(s.id, 'read') AS read,
        pgqueue_internal.may(s.id, 'owner') AS owner,
        pgqueue_internal.may(s.id, 'monitor') AS monitor
    FROM pgqueue_internal.namespace s
    WHERE pgqueue_internal.may(s.id, 'see')
    OFFSET 0
) n;

CREATE TRIGGER config_changed AFTER INSERT OR UPDATE OR DELETE ON pgqueue_internal.identity
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.config_changed();
CREATE TRIGGER config_changed AFTER INSERT OR UPDATE OR DELETE ON pgqueue_internal.role
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.config_changed();
CREATE TRIGGER config_changed AFTER INSERT OR UPDATE OR DELETE ON pgqueue_internal.namespace
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.config_changed();
CREATE TRIGGER config_changed AFTER INSERT OR UPDATE OR DELETE ON pgqueue_internal.namespace_grant
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.config_changed();
CREATE TRIGGER config_changed AFTER INSERT OR UPDATE OR DELETE ON pgqueue_internal.queue
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.config_changed();
CREATE TRIGGER config_changed AFTER INSERT OR UPDATE OR DELETE ON pgqueue_internal.handler
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.config_changed();
CREATE TRIGGER config_changed AFTER INSERT OR UPDATE OR DELETE ON pgqueue_internal.ticker
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.config_changed();

DO $revoke$
DECLARE
    leaver CONSTANT name := '{{name}}';
BEGIN
    -- A revocation that is repeated must succeed.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = leaver) THEN
        RETURN;
    END IF;
    EXECUTE pg_catalog.format('ALTER ROLE %I NOLOGIN', leaver);
    -- A session outlives its role; two seconds are for one that is busy.
    PERFORM pg_catalog.pg_terminate_backend(pid, 2000) FROM pg_catalog.pg_stat_activity WHERE usename = leaver;
    BEGIN
        EXECUTE pg_catalog.format('REASSIGN OWNED BY %I TO %I', leaver, '@owner@');
    EXCEPTION WHEN OTHERS THEN
        -- Some objects only a superuser can own: event triggers, foreign-data wrappers.
        EXECUTE pg_catalog.format('REASSIGN OWNED BY %I TO postgres', leaver);
    END;
    EXECUTE pg_catalog.format('DROP OWNED BY %I', leaver);
    EXECUTE pg_catalog.format('DROP ROLE IF EXISTS %I', leaver);
END
$revoke$

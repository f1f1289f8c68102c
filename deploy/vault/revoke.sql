DO $revoke$
DECLARE
    leaver CONSTANT name := '{{name}}';
    owner CONSTANT name := 'app_objects';
    super boolean;
    inherited text := '';
    made regprocedure;
BEGIN
    -- An operator in a schema where sessions may create would be found, and run with this role's rights.
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    SELECT rolsuper INTO super FROM pg_catalog.pg_roles WHERE rolname = leaver;
    -- A revocation that is repeated must succeed.
    IF NOT FOUND THEN
        RETURN;
    END IF;
    EXECUTE pg_catalog.format('ALTER ROLE %I NOLOGIN', leaver);
    -- Who is no superuser has to be a member to end its sessions and to give away what it owns.
    IF pg_catalog.current_setting('server_version_num')::int >= 160000 THEN
        inherited := ' WITH INHERIT TRUE';
    END IF;
    EXECUTE pg_catalog.format('GRANT %I TO CURRENT_USER', leaver) || inherited;
    -- A session outlives its role; two seconds are for one that is busy.
    PERFORM pg_catalog.pg_terminate_backend(pid, 2000) FROM pg_catalog.pg_stat_activity WHERE usename = leaver;
    -- What ran with the rights of somebody who is gone would run with the owner's, for everybody, for ever.
    FOR made IN SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
        WHERE r.rolname = leaver AND p.prosecdef
    LOOP
        EXECUTE 'ALTER ROUTINE ' || made || ' SECURITY INVOKER';
        RAISE WARNING '% is no longer SECURITY DEFINER, for its owner % is gone', made, leaver;
    END LOOP;
    BEGIN
        EXECUTE pg_catalog.format('REASSIGN OWNED BY %I TO %I', leaver, owner);
    EXCEPTION WHEN OTHERS THEN
        -- Some objects only a superuser can own: event triggers, foreign-data wrappers.
        IF NOT super THEN
            RAISE;
        END IF;
        EXECUTE pg_catalog.format('REASSIGN OWNED BY %I TO %I', leaver, (SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10));
    END;
    EXECUTE pg_catalog.format('DROP OWNED BY %I', leaver);
    EXECUTE pg_catalog.format('DROP ROLE IF EXISTS %I', leaver);
END
$revoke$

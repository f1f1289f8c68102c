-- Once for each database, here app: what the role may do that makes the roles
-- of its sessions, here vault. It exists and is no superuser:
--
--   CREATE ROLE vault LOGIN CREATEROLE;      and   \password vault
GRANT CONNECT ON DATABASE app TO vault;
GRANT app_objects TO vault;                          -- to give away what sessions leave
-- Since 16 CREATEROLE alone makes nobody a member of roles that it has not made.
DO $$ BEGIN IF current_setting('server_version_num')::int >= 160000 THEN
    EXECUTE 'GRANT app_readonly, app_readwrite, app_catalog TO vault WITH ADMIN TRUE, INHERIT FALSE, SET FALSE'; END IF; END $$;

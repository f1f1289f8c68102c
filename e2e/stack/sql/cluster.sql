-- The next statements have passwords in them.
SET log_statement = 'none';

-- Roles of the cluster. Vault's role mints the others, superusers too, which
-- only a superuser can do; its password is in Vault's configuration alone.
CREATE ROLE vault LOGIN SUPERUSER PASSWORD :vault_password;


-- A gateway without Vault makes the roles of its sessions with this one. It
-- has to own what they leave behind before it can give it away.
CREATE ROLE sallyport LOGIN CREATEROLE PASSWORD :provisioning_password;

CREATE ROLE app_owner NOLOGIN;
CREATE ROLE app_readonly NOLOGIN;
CREATE ROLE app_readwrite NOLOGIN;
CREATE ROLE by_md5 NOLOGIN; -- members come by it, see pg_hba.conf
CREATE ROLE by_certificate NOLOGIN;
CREATE ROLE app_catalog NOLOGIN;
CREATE ROLE scratch_owner NOLOGIN;
CREATE ROLE scratch_readwrite NOLOGIN;
CREATE ROLE scratch_catalog NOLOGIN;

CREATE DATABASE app OWNER app_owner;
CREATE DATABASE scratch OWNER scratch_owner;

REVOKE ALL ON DATABASE app, scratch, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE app TO app_readonly, app_readwrite, app_catalog;
GRANT CONNECT ON DATABASE scratch TO scratch_readwrite, scratch_catalog;
GRANT CONNECT ON DATABASE app, scratch TO sallyport;
GRANT app_owner, scratch_owner TO sallyport;
-- Since 16 CREATEROLE does not make members of just any role.
DO $$ BEGIN IF current_setting('server_version_num')::int >= 160000 THEN
    EXECUTE 'GRANT app_readonly, app_readwrite, app_catalog, scratch_readwrite, scratch_catalog TO sallyport WITH ADMIN TRUE, INHERIT FALSE, SET FALSE';     EXECUTE 'GRANT app_owner, scratch_owner TO sallyport WITH ADMIN TRUE'; END IF ; END $$;

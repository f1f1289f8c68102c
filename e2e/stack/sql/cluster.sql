-- The next statement has a password in it.
SET log_statement = 'none';

-- Roles of the cluster. Vault's role mints the others, superusers too, which
-- only a superuser can do; its password is in Vault's configuration alone.
CREATE ROLE vault LOGIN SUPERUSER PASSWORD :vault_password;

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

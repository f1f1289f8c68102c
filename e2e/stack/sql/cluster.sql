-- The next statements have passwords in them.
SET log_statement = 'none';

-- Roles of the cluster. Vault's role makes those of sessions; its password is
-- in Vault's configuration alone. Superusers only another one makes.
CREATE ROLE vault LOGIN CREATEROLE PASSWORD :vault_password;
CREATE ROLE vault_dba LOGIN SUPERUSER PASSWORD :vault_password;

-- A gateway without Vault makes the roles of its sessions with this one.
CREATE ROLE sallyport LOGIN CREATEROLE PASSWORD :provisioning_password;

CREATE ROLE by_md5 NOLOGIN; -- members come by it, see pg_hba.conf
CREATE ROLE by_replication NOLOGIN; -- standbys
CREATE ROLE by_certificate NOLOGIN;
CREATE ROLE by_own_name NOLOGIN;

CREATE DATABASE app;
CREATE DATABASE scratch;
REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;

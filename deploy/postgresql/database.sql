-- Once for each database, here app, as a superuser. Everything that sessions
-- can do comes from one of these groups; none of them can log in.
CREATE ROLE app_owner NOLOGIN;                       -- owns the schemas and what migrations make
CREATE ROLE app_readonly NOLOGIN;
CREATE ROLE app_readwrite NOLOGIN;
CREATE ROLE app_catalog NOLOGIN;                     -- the gateway's own session: it connects and nothing else
CREATE ROLE app_objects NOLOGIN IN ROLE app_readwrite; -- gets what sessions of app_readwrite leave, and can do no more than they

ALTER DATABASE app OWNER TO app_owner;

-- TEMP too: temporary tables are objects that get in the way of DROP ROLE. Not
-- CONNECT to any other database, where a role could leave something as well.
REVOKE ALL ON DATABASE app FROM PUBLIC;
GRANT CONNECT ON DATABASE app TO app_readonly, app_readwrite, app_catalog;

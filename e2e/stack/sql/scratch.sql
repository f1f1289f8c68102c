-- An empty database. Whatever a dba makes in it, engineers may read and write.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO scratch_readwrite;
GRANT pg_read_all_data, pg_write_all_data TO scratch_readwrite;

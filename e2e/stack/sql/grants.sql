-- Once the groups are there. Without superusers an administrator's session is a
-- member of the owner, which then gets what it leaves.
GRANT app_owner, scratch_owner TO sallyport;
-- Since 16 CREATEROLE does not make members of just any role.
DO $$ BEGIN IF current_setting('server_version_num')::int >= 160000 THEN
    EXECUTE 'GRANT app_owner, scratch_owner TO sallyport WITH ADMIN TRUE';
    EXECUTE 'GRANT by_certificate TO vault WITH ADMIN TRUE, INHERIT FALSE, SET FALSE'; END IF; END $$;

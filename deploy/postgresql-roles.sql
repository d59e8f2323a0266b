-- Two roles on PostgreSQL: `hub_owner` owns the tables and changes their shape, `hub` works with the rows.
-- Whoever gets hold of the address that web, worker and clock have cannot drop a table, nor change or delete what the audit log says.
--
-- Run it as a superuser on the hub's database, after the first `hub db upgrade`; again does no harm:
--     psql -d hub -f deploy/postgresql-roles.sql
-- Then give both roles a password (`\password hub`), and
--     release:             DATABASE_URL=postgresql://hub_owner:...@.../hub  hub db upgrade
--     web, worker, clock:  DATABASE_URL=postgresql://hub:...@.../hub
-- Tables of later upgrades get their rights by themselves.

DO $$
DECLARE one record;
BEGIN
  FOR one IN SELECT unnest(ARRAY['hub_owner', 'hub']) AS name LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = one.name) THEN
      EXECUTE format('CREATE ROLE %I LOGIN', one.name);
    END IF;
  END LOOP;

  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO hub_owner, hub', current_database());
  ALTER SCHEMA public OWNER TO hub_owner;
  REVOKE ALL ON SCHEMA public FROM PUBLIC;
  GRANT USAGE ON SCHEMA public TO hub;

  -- Sequences and indexes follow their tables.
  FOR one IN SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('ALTER TABLE public.%I OWNER TO hub_owner', one.name);
  END LOOP;
  ALTER FUNCTION public.audit_log_stays() OWNER TO hub_owner;
END $$;

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO hub;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO hub;
ALTER DEFAULT PRIVILEGES FOR ROLE hub_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO hub;
ALTER DEFAULT PRIVILEGES FOR ROLE hub_owner IN SCHEMA public GRANT USAGE ON SEQUENCES TO hub;

REVOKE UPDATE, DELETE ON audit_log FROM hub;
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM hub;

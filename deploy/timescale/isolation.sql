-- Tenants apart, in SQL. Base tables are their owner's alone; readers get the views in schema `isolated`, which show one
-- tenant: the one a login role is mapped to, or for the API's role the one named by a setting of the transaction.

CREATE TABLE tenant_role (
    role_name name PRIMARY KEY,
    tenant_no integer NOT NULL REFERENCES tenant,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE SCHEMA isolated;

-- A mapped login is mapped whatever it sets: any role can change a setting, none its session_user.
CREATE FUNCTION isolated.tenant_no() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN EXISTS (SELECT FROM public.tenant_role AS r WHERE r.role_name = session_user)
            THEN (SELECT r.tenant_no FROM public.tenant_role AS r WHERE r.role_name = session_user)
        WHEN pg_has_role(session_user, 'spendstream_api', 'MEMBER')
            THEN (SELECT t.tenant_no FROM public.tenant AS t
                  WHERE t.tenant_id = current_setting('spendstream.tenant_id', true))
    END
$$;

CREATE FUNCTION isolated.tenant_id() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT t.tenant_id FROM public.tenant AS t WHERE t.tenant_no = isolated.tenant_no() $$;

-- A login for one tenant's Grafana. `verifier` is what PostgreSQL stores of a password (SCRAM), so that no log of
-- statements has the password itself. Raises for a tenant that doesn't exist and for a name that is taken.
CREATE FUNCTION isolated.create_tenant_role(wanted_tenant text, role_name name, verifier text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found_no integer := (SELECT t.tenant_no FROM public.tenant AS t WHERE t.tenant_id = wanted_tenant);
BEGIN
    IF found_no IS NULL THEN
        RAISE EXCEPTION 'there is no tenant %', wanted_tenant USING ERRCODE = 'no_data_found';
    END IF;
    IF verifier NOT LIKE 'SCRAM-SHA-256$%' THEN
        RAISE EXCEPTION 'a SCRAM-SHA-256 verifier is wanted, not a password' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('CREATE ROLE %I LOGIN NOCREATEDB NOCREATEROLE CONNECTION LIMIT 10 PASSWORD %L', role_name, verifier);
    INSERT INTO public.tenant_role (role_name, tenant_no) VALUES (role_name, found_no);
    EXECUTE format('GRANT spendstream_grafana TO %I', role_name);
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role_name);
    EXECUTE format('ALTER ROLE %I SET search_path = isolated, public', role_name);
    EXECUTE format('ALTER ROLE %I SET default_transaction_read_only = on', role_name);
    EXECUTE format('ALTER ROLE %I SET statement_timeout = %L', role_name, '30s');
END
$$;

CREATE FUNCTION isolated.drop_tenant_role(dropped name) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM public.tenant_role AS r WHERE r.role_name = dropped;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is no role of a tenant', dropped USING ERRCODE = 'undefined_object';
    END IF;
    EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM %I', current_database(), dropped);
    EXECUTE format('DROP ROLE %I', dropped);
END
$$;

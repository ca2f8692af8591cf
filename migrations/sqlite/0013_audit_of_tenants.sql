-- What a tenant's own keys did. Postgres has the same in
-- migrations/postgres/0013_audit_of_tenants.sql, where the reasons stand.

CREATE INDEX audit_log_of_tenant ON audit_log (tenant, id) WHERE tenant IS NOT NULL;

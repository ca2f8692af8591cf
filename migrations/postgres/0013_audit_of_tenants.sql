-- A tenant's administrator reads what the tenant's own keys did: walked by itself, so that a page
-- never leads over what others did. SQLite has the same in
-- migrations/sqlite/0013_audit_of_tenants.sql.

CREATE INDEX audit_log_of_tenant ON audit_log (tenant, id) WHERE tenant IS NOT NULL;

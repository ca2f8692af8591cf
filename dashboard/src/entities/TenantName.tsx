import { Link } from "@tanstack/react-router";
import { allows, useSession } from "../api/session";
import { cx } from "../ui/class-names";

/** Whose something is; for those who administer tenants it leads to the tenant. */
export function TenantName({ id, className }: { id: string; className?: string }) {
  const session = useSession();
  if (session.tenant !== null || !allows(session, "admin")) return <span title={id} className={cx("truncate", className)}>{id}</span>;
  return <Link to="/tenants/$id" params={{ id }} tabIndex={-1} title={id} className={cx("truncate hover:underline", className)}>{id}</Link>;
}

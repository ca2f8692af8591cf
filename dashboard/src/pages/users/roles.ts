/** What roles may, in words. */
import type { Role } from "../../api/session";

export const ROLES: Record<Role, { name: string; about: string }> = {
  admin: { name: "Admin", about: "may do everything" },
  operator: { name: "Operator", about: "everything but users, keys, tenants and the system" },
  viewer: { name: "Viewer", about: "looks, and changes nothing" },
};

export const ROLE_NAMES = Object.keys(ROLES) as Role[];

/**
 * The table of pages. Each is a chunk of its own, loaded when it is first gone to (or when its link
 * is hovered); what stands in a page's query is typed by its `validateSearch`. Where the path names a
 * thing, another one is another page (`remountDeps`): no dialog, secret or number of the one before stays.
 */
import type { QueryClient } from "@tanstack/react-query";
import { createRootRouteWithContext, createRoute, createRouter, Outlet, redirect } from "@tanstack/react-router";
import { sessionQuery } from "./api/session";
import { auditSearch } from "./pages/audit/search";
import { deliveriesSearch } from "./pages/deliveries/search";
import { eventTypesSearch } from "./pages/event-types/search";
import { eventsSearch } from "./pages/events/search";
import { jobsSearch } from "./pages/jobs/search";
import { keysSearch } from "./pages/keys/queries";
import { overviewSearch } from "./pages/overview/search";
import { subscriptionSearch, subscriptionsSearch } from "./pages/subscriptions/search";
import { systemSearch } from "./pages/system/search";
import { Broken, Missing } from "./shell/Fallbacks";
import { page } from "./shell/lazy-page";
import { Shell } from "./shell/Shell";

interface Context {
  client: QueryClient;
}

const root = createRootRouteWithContext<Context>()({ component: Outlet, notFoundComponent: Missing, errorComponent: Broken });

const text = (value: unknown) => (typeof value === "string" ? value : undefined);

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  // Where to go afterwards.
  validateSearch: (search: Record<string, unknown>): { back?: string } => {
    const back = text(search["back"]);
    return back?.startsWith("/") && !back.startsWith("//") ? { back } : {};
  },
  component: page(() => import("./pages/account/SignIn"), "SignIn"),
});

const setup = createRoute({ getParentRoute: () => root, path: "/setup", component: page(() => import("./pages/account/Setup"), "Setup") });

const invitation = createRoute({ getParentRoute: () => root, path: "/invitation", component: page(() => import("./pages/account/Setup"), "Invitation") });

/** Everything behind the sign-in. */
const signedIn = createRoute({
  getParentRoute: () => root,
  id: "in",
  beforeLoad: async ({ context, location }) => {
    const session = await context.client.ensureQueryData(sessionQuery);
    // The router's own way to go elsewhere.
    // eslint-disable-next-line @typescript-eslint/only-throw-error
    if (!session) throw redirect({ to: "/sign-in", search: location.pathname === "/" ? {} : { back: location.href } });
    return { session };
  },
  component: Shell,
});

const overview = createRoute({
  getParentRoute: () => signedIn,
  path: "/",
  validateSearch: overviewSearch,
  component: page(() => import("./pages/overview/Overview"), "OverviewPage"),
});

const events = createRoute({
  getParentRoute: () => signedIn,
  path: "/events",
  validateSearch: eventsSearch,
  component: page(() => import("./pages/events/Events"), "EventsPage"),
});

const sendEvent = createRoute({ getParentRoute: () => signedIn, path: "/events/send", component: page(() => import("./pages/events/SendEvent"), "SendEventPage") });

const event = createRoute({ getParentRoute: () => signedIn, path: "/events/$id", remountDeps: ({ params }) => params, component: page(() => import("./pages/events/Event"), "EventPage") });

const subscriptions = createRoute({
  getParentRoute: () => signedIn,
  path: "/subscriptions",
  validateSearch: subscriptionsSearch,
  component: page(() => import("./pages/subscriptions/Subscriptions"), "SubscriptionsPage"),
});

const register = createRoute({ getParentRoute: () => signedIn, path: "/subscriptions/new", component: page(() => import("./pages/subscriptions/Register"), "RegisterPage") });

const subscription = createRoute({
  getParentRoute: () => signedIn,
  path: "/subscriptions/$id",
  remountDeps: ({ params }) => params,
  validateSearch: subscriptionSearch,
  component: page(() => import("./pages/subscriptions/Subscription"), "SubscriptionPage"),
});

const editSubscription = createRoute({ getParentRoute: () => signedIn, path: "/subscriptions/$id/edit", remountDeps: ({ params }) => params, component: page(() => import("./pages/subscriptions/Edit"), "EditPage") });

const deliveries = createRoute({
  getParentRoute: () => signedIn,
  path: "/deliveries",
  validateSearch: deliveriesSearch,
  component: page(() => import("./pages/deliveries/Deliveries"), "DeliveriesPage"),
});

const delivery = createRoute({ getParentRoute: () => signedIn, path: "/deliveries/$id", remountDeps: ({ params }) => params, component: page(() => import("./pages/deliveries/Delivery"), "DeliveryPage") });

const jobs = createRoute({ getParentRoute: () => signedIn, path: "/jobs", validateSearch: jobsSearch, component: page(() => import("./pages/jobs/Jobs"), "JobsPage") });

const eventTypes = createRoute({ getParentRoute: () => signedIn, path: "/event-types", validateSearch: eventTypesSearch, component: page(() => import("./pages/event-types/EventTypes"), "EventTypesPage") });

const eventType = createRoute({ getParentRoute: () => signedIn, path: "/event-types/$name", remountDeps: ({ params }) => params, component: page(() => import("./pages/event-types/EventType"), "EventTypePage") });

// Not below /event-types: any name of one segment may be a type's.
const newEventType = createRoute({ getParentRoute: () => signedIn, path: "/new/event-type", component: page(() => import("./pages/event-types/EventType"), "NewEventTypePage") });

const keys = createRoute({ getParentRoute: () => signedIn, path: "/keys", validateSearch: keysSearch, component: page(() => import("./pages/keys/Keys"), "KeysPage") });

const tenants = createRoute({ getParentRoute: () => signedIn, path: "/tenants", component: page(() => import("./pages/tenants/Tenants"), "TenantsPage") });

const tenant = createRoute({ getParentRoute: () => signedIn, path: "/tenants/$id", remountDeps: ({ params }) => params, component: page(() => import("./pages/tenants/Tenant"), "TenantPage") });

const audit = createRoute({ getParentRoute: () => signedIn, path: "/audit", validateSearch: auditSearch, component: page(() => import("./pages/audit/Audit"), "AuditPage") });

const system = createRoute({ getParentRoute: () => signedIn, path: "/system", validateSearch: systemSearch, component: page(() => import("./pages/system/System"), "SystemPage") });

const users = createRoute({ getParentRoute: () => signedIn, path: "/users", component: page(() => import("./pages/users/Users"), "UsersPage") });

const account = createRoute({ getParentRoute: () => signedIn, path: "/account", component: page(() => import("./pages/account/Account"), "AccountPage") });

const administration = [eventTypes, eventType, newEventType, keys, tenants, tenant, users, audit, system, account] as const;

const watched = [overview, events, sendEvent, event, subscriptions, register, subscription, editSubscription, deliveries, delivery, jobs] as const;

const tree = root.addChildren([signIn, setup, invitation, signedIn.addChildren([...watched, ...administration])]);

export function makeRouter(client: QueryClient) {
  return createRouter({
    routeTree: tree,
    basepath: "/ui",
    context: { client },
    defaultPreload: "intent",
    defaultErrorComponent: Broken,
    scrollRestoration: true,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}

/**
 * The table of pages. Each is a chunk of its own, loaded when it is first gone to (or when its link
 * is hovered); what stands in a page's query is typed by its `validateSearch`.
 */
import type { QueryClient } from "@tanstack/react-query";
import { createRootRouteWithContext, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from "@tanstack/react-router";
import { sessionQuery } from "./api/session";
import { eventsSearch } from "./pages/events/search";
import { overviewSearch } from "./pages/overview/search";
import { subscriptionSearch, subscriptionsSearch } from "./pages/subscriptions/search";
import { Broken, Missing } from "./shell/Fallbacks";
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
  component: lazyRouteComponent(() => import("./pages/account/SignIn"), "SignIn"),
});

const setup = createRoute({ getParentRoute: () => root, path: "/setup", component: lazyRouteComponent(() => import("./pages/account/Setup"), "Setup") });

const invitation = createRoute({ getParentRoute: () => root, path: "/invitation", component: lazyRouteComponent(() => import("./pages/account/Setup"), "Invitation") });

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
  component: lazyRouteComponent(() => import("./pages/overview/Overview"), "OverviewPage"),
});

const events = createRoute({
  getParentRoute: () => signedIn,
  path: "/events",
  validateSearch: eventsSearch,
  component: lazyRouteComponent(() => import("./pages/events/Events"), "EventsPage"),
});

const sendEvent = createRoute({ getParentRoute: () => signedIn, path: "/events/send", component: lazyRouteComponent(() => import("./pages/events/SendEvent"), "SendEventPage") });

const event = createRoute({ getParentRoute: () => signedIn, path: "/events/$id", component: lazyRouteComponent(() => import("./pages/events/Event"), "EventPage") });

const subscriptions = createRoute({
  getParentRoute: () => signedIn,
  path: "/subscriptions",
  validateSearch: subscriptionsSearch,
  component: lazyRouteComponent(() => import("./pages/subscriptions/Subscriptions"), "SubscriptionsPage"),
});

const register = createRoute({ getParentRoute: () => signedIn, path: "/subscriptions/new", component: lazyRouteComponent(() => import("./pages/subscriptions/Register"), "RegisterPage") });

const subscription = createRoute({
  getParentRoute: () => signedIn,
  path: "/subscriptions/$id",
  validateSearch: subscriptionSearch,
  component: lazyRouteComponent(() => import("./pages/subscriptions/Subscription"), "SubscriptionPage"),
});

const editSubscription = createRoute({ getParentRoute: () => signedIn, path: "/subscriptions/$id/edit", component: lazyRouteComponent(() => import("./pages/subscriptions/Edit"), "EditPage") });

const tree = root.addChildren([signIn, setup, invitation, signedIn.addChildren([overview, events, sendEvent, event, subscriptions, register, subscription, editSubscription])]);

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

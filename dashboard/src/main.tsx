import "./app.css";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { onSignedOut } from "./api/client";
import { KeepingCache } from "./api/keep-error";
import { isWorthRetrying, retryDelay } from "./api/retry";
import { isSame, readSession, sessionQuery, type Session } from "./api/session";
import { onOtherTab } from "./api/tabs";
import { takeKey } from "./pages/account/fragment";
import { makeRouter } from "./router";
import { askToSignInAgain, doneAsking } from "./shell/session-end";
import { HintProvider } from "./ui/Tooltip";
import { Toaster } from "./ui/Toaster";

// Before anything else can see the address.
takeKey();

const client = new QueryClient({
  queryCache: new KeepingCache(),
  defaultOptions: {
    queries: {
      // Facts of the stream say what is stale (live/refresh.ts).
      staleTime: 5_000,
      gcTime: 120_000,
      refetchOnWindowFocus: true,
      retry: isWorthRetrying,
      retryDelay,
    },
  },
});
const router = makeRouter(client);

/** Pages on which nobody has to be signed in. */
const OPEN = new Set(["/sign-in", "/setup", "/invitation"]);

function leave() {
  const { pathname, href } = router.state.location;
  if (OPEN.has(pathname) || askToSignInAgain()) return;
  void router.navigate({ to: "/sign-in", search: { back: href } }).then(() => client.clear());
}

onSignedOut(leave);
onOtherTab(() => void readSession().then(followTab, () => undefined));

/** Another tab signed in or out: this one does what it would have done itself. */
async function followTab(session: Session | null) {
  const before = client.getQueryData(sessionQuery.queryKey);
  if (!session) return leave();
  if (before && !isSame(before, session)) return window.location.reload();
  client.setQueryData(sessionQuery.queryKey, session);
  doneAsking();
  const { pathname, search } = router.state.location;
  if (pathname !== "/sign-in") return;
  if (search.back) await router.navigate({ href: search.back });
  else await router.navigate({ to: "/" });
}

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <HintProvider>
        <RouterProvider router={router} />
        <Toaster />
      </HintProvider>
    </QueryClientProvider>
  </StrictMode>,
);

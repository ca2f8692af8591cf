import "./app.css";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { onSignedOut } from "./api/client";
import { Problem } from "./api/problem";
import { takeKey } from "./pages/account/fragment";
import { makeRouter } from "./router";
import { askToSignInAgain } from "./shell/session-end";
import { HintProvider } from "./ui/Tooltip";
import { Toaster } from "./ui/Toaster";

// Before anything else can see the address.
takeKey();

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // Facts of the stream say what is stale (live/refresh.ts).
      staleTime: 5_000,
      gcTime: 120_000,
      refetchOnWindowFocus: true,
      // A refusal will be the same again; no answer, or one of 5xx, may not.
      retry: (failures, error) => failures < 2 && !(error instanceof Problem && error.status < 500),
      retryDelay: (attempt) => Math.min(1_000 * 2 ** attempt, 5_000),
    },
  },
});
const router = makeRouter(client);

onSignedOut(() => {
  if (askToSignInAgain()) return;
  const back = router.state.location.href;
  void router.navigate({ to: "/sign-in", search: { back } }).then(() => client.clear());
});

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

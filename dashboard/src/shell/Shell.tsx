import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useRouter, useRouterState } from "@tanstack/react-router";
import { useCallback, useEffect, useRef, useState, type ReactNode } from "react";
import { sessionQuery, signOut, useSession } from "../api/session";
import { LiveProvider } from "../live/Live";
import { Button } from "../ui/Button";
import { Icon } from "../ui/Icon";
import { Menu, MenuItem, MenuLabel, MenuLine } from "../ui/Menu";
import { chooseTheme, useTheme, type Theme } from "../ui/theme";
import { toast } from "../ui/toasts";
import { adviceFor } from "../api/problem";
import { ConnectionMark } from "./ConnectionMark";
import { Barred } from "./Fallbacks";
import { Help } from "./Help";
import { Keys, Palette, PALETTE_KEYS } from "./Palette";
import { preloadAll } from "./lazy-page";
import { Outage } from "./Outage";
import { maySee, neededFor, PLACES } from "./places";
import { watchTyping } from "./session-end";
import { SignInAgain } from "./SignInAgain";
import { useKeys } from "./use-keys";
import { WorkPanel } from "../work/WorkPanel";

/** Around every page of those who are signed in. */
export function Shell() {
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const openPalette = useCallback(() => setPalette(true), []);
  const openHelp = useCallback(() => setHelp(true), []);
  useKeys({ onPalette: openPalette, onHelp: openHelp });
  useFocusOnArrival();
  const router = useRouter();
  useEffect(() => watchTyping(router), [router]);
  usePreloading();
  return (
    <LiveProvider>
      <a href="#main" className="sr-only z-50 rounded bg-raised px-3 py-1.5 focus:not-sr-only focus:fixed focus:left-2 focus:top-2">Skip to the page</a>
      <div className="flex min-h-dvh flex-col md:flex-row">
        <Side onPalette={openPalette} onHelp={openHelp} />
        <main id="main" className="mx-auto w-full min-w-0 max-w-[110rem] flex-1 px-3 pb-16 pt-3 md:px-5 md:pb-6 md:pt-4"><Outage /><SignInAgain /><Admitted><Outlet /></Admitted></main>
        <BottomBar />
      </div>
      <WorkPanel />
      <Palette open={palette} onClose={() => setPalette(false)} onHelp={openHelp} />
      <Help open={help} onClose={() => setHelp(false)} />
    </LiveProvider>
  );
}

/** A while after the first page: the others have to be there when the relay is not, or is another version. */
function usePreloading() {
  useEffect(() => {
    const timer = setTimeout(() => void preloadAll(), 3_000);
    return () => clearTimeout(timer);
  }, []);
}

/** A new page is announced: its heading takes the focus, unless something in it already has. */
function useFocusOnArrival() {
  const path = useRouterState({ select: (state) => state.resolvedLocation?.pathname });
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    if (document.activeElement === document.body || document.activeElement?.closest("nav")) document.getElementById("page-title")?.focus({ preventScroll: true });
  }, [path]);
}

function usePlaces() {
  const session = useSession();
  return PLACES.filter((place) => maySee(session, place));
}

/** Whoever may not see a page is told so, before it asks the relay for anything. */
function Admitted({ children }: { children: ReactNode }) {
  const session = useSession();
  const needed = neededFor(useRouterState({ select: (state) => state.location.pathname }));
  return needed && !maySee(session, needed) ? <Barred /> : children;
}

function Side({ onPalette, onHelp }: { onPalette: () => void; onHelp: () => void }) {
  const places = usePlaces();
  return (
    <header className="sticky top-0 z-20 flex items-center gap-1 border-b bg-ground px-3 py-1.5 md:h-dvh md:w-50 md:shrink-0 md:flex-col md:items-stretch md:border-b-0 md:border-r md:px-2.5 md:py-3">
      <Link to="/" className="flex h-8 items-center gap-2 rounded px-2 font-semibold tracking-tight md:mb-2">
        <Logo /> Posthaste
      </Link>
      <button type="button" onClick={onPalette} className="ml-auto flex h-7 items-center gap-2 rounded border border-edge/60 bg-panel px-2 text-muted hover:text-text md:mb-3 md:ml-0">
        <Icon name="search" size={14} />
        <span className="sr-only md:not-sr-only md:flex-1 md:text-left">Go to…</span>
        <span className="hidden md:block"><Keys keys={PALETTE_KEYS} /></span>
      </button>
      <nav aria-label="Pages" className="hidden flex-1 flex-col gap-px md:flex">
        {places.map((place, index) => (
          <Link
            key={place.to} to={place.to} activeOptions={{ exact: place.to === "/", includeSearch: false }}
            data-apart={(place.administers && !places[index - 1]?.administers) || undefined}
            className="flex h-7.5 data-apart:mt-4 items-center gap-2.5 rounded px-2 font-medium text-muted hover:bg-sunken hover:text-text aria-[current=page]:bg-accent-soft aria-[current=page]:text-text"
          >
            <Icon name={place.icon} size={15} />
            {place.name}
          </Link>
        ))}
      </nav>
      <div className="flex items-center md:flex-col md:items-stretch md:gap-0.5">
        <ConnectionMark />
        <Account onHelp={onHelp} />
      </div>
    </header>
  );
}

/** Places that a phone's bar has room for; where there are more, the last one opens them. */
const ROOM = 5;

function BottomBar() {
  const places = usePlaces();
  const router = useRouter();
  const shown = places.length > ROOM ? places.slice(0, ROOM - 1) : places;
  const rest = places.slice(shown.length);
  const place = "flex h-13 flex-1 flex-col items-center justify-center gap-0.5 text-xs font-medium text-muted aria-[current=page]:text-accent";
  return (
    <nav aria-label="Pages" className="fixed inset-x-0 bottom-0 z-20 flex border-t bg-ground pb-[env(safe-area-inset-bottom)] md:hidden">
      {shown.map(({ to, icon, name }) => (
        <Link key={to} to={to} activeOptions={{ exact: to === "/", includeSearch: false }} className={place}>
          <Icon name={icon} size={18} />
          {name}
        </Link>
      ))}
      {rest.length > 0 && (
        <Menu align="end" trigger={<button type="button" className={place}><Icon name="dots" size={18} />More</button>}>
          {rest.map(({ to, icon, name }) => <MenuItem key={to} icon={icon} onSelect={() => void router.navigate({ to })}>{name}</MenuItem>)}
        </Menu>
      )}
    </nav>
  );
}

const THEMES: readonly [Theme, string, "screen" | "sun" | "moon"][] = [
  ["system", "As the system has it", "screen"],
  ["light", "Light", "sun"],
  ["dark", "Dark", "moon"],
];

function Account({ onHelp }: { onHelp: () => void }) {
  const session = useSession();
  const client = useQueryClient();
  const router = useRouter();
  const { chosen } = useTheme();
  const leave = useMutation({
    mutationFn: signOut,
    onSuccess: async () => {
      client.clear();
      client.setQueryData(sessionQuery.queryKey, null);
      await router.navigate({ to: "/sign-in" });
    },
    onError: (error) => toast({ tone: "bad", text: "You are still signed in", detail: adviceFor(error).advice }),
  });
  const what = session.role ?? (session.tenant ? `client of ${session.tenant}` : "key");
  return (
    <Menu
      align="start"
      trigger={
        <Button kind="quiet" className="min-w-0 !justify-start px-[0.4375rem] md:h-auto md:w-full md:gap-2.5 md:py-1">
          <span className="sr-only md:hidden">Account: {session.name}</span>
          <Icon name="users" size={15} />
          <span className="hidden min-w-0 text-left leading-tight md:block">
            <span className="block truncate text-text">{session.name}</span>
            <span className="block truncate text-xs font-normal">{what}</span>
          </span>
        </Button>
      }
    >
      <MenuLabel>{session.user?.email ?? session.key?.name ?? session.name} · {what}</MenuLabel>
      <MenuLine />
      {THEMES.map(([theme, name, icon]) => <MenuItem key={theme} icon={icon} checked={chosen === theme} onSelect={() => chooseTheme(theme)}>{name}</MenuItem>)}
      <MenuLine />
      <MenuItem icon="users" onSelect={() => void router.navigate({ to: "/account" })}>Your account</MenuItem>
      <MenuItem icon="book" onSelect={onHelp}>Keyboard shortcuts</MenuItem>
      <MenuItem icon="open" onSelect={() => window.open("/docs/", "_blank", "noopener")}>API reference</MenuItem>
      <MenuLine />
      <MenuItem icon="out" onSelect={() => leave.mutate()}>Sign out</MenuItem>
    </Menu>
  );
}

export function Logo() {
  return (
    <svg viewBox="0 0 32 32" width={20} height={20} aria-hidden="true" className="shrink-0">
      <path d="M3 10h12M1 16h10M3 22h12" className="stroke-muted" strokeWidth="2.6" strokeLinecap="round" />
      <path d="M18 7l10 9-10 9" fill="none" className="stroke-accent" strokeWidth="3.6" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}

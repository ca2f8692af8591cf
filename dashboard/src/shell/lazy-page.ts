/**
 * Pages that are loaded when they are first gone to. Each is a file of the build that the page came
 * with; after an update of the relay another build is there, and the file is gone.
 */
import { createElement, use, type ComponentType, type FunctionComponent } from "react";
import { PATIENCE, reach } from "../api/reach";

/** A part of the dashboard could not be loaded, and a reload has not helped, or cannot while the relay is away. */
export class NotLoaded extends Error {
  readonly away: boolean;
  /** Lets the next try begin anew. */
  readonly forget: () => void;

  constructor(away: boolean, forget: () => void) {
    super("a part of it cannot be loaded");
    this.name = "NotLoaded";
    this.away = away;
    this.forget = forget;
  }
}

/** A page is loaded anew at most once in this time: what fails twice is not mended by it. */
const RELOADS_APART = 60_000;
const RELOADED_AT = "posthaste.reloaded-at";

/** Loads the whole page anew, with the build that is there now; false where that was just done. */
function reloadOnce(): boolean {
  try {
    if (Date.now() - Number(sessionStorage.getItem(RELOADED_AT) ?? 0) < RELOADS_APART) return false;
    sessionStorage.setItem(RELOADED_AT, String(Date.now()));
  } catch {
    // Without a memory of it, it might go on for ever.
    return false;
  }
  window.location.reload();
  return true;
}

/** Whether the relay answers at all; a reload while it does not would leave nothing on the screen. */
export async function answers(): Promise<boolean> {
  try {
    return (await fetch("/ui/", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) })).ok;
  } catch {
    return false;
  }
}

interface Loading {
  promise: Promise<void>;
  component?: ComponentType;
  failed?: boolean;
}

const all: (() => Promise<void>)[] = [];

/**
 * A page as the router takes it: `preload` gets its file, drawing it waits for that. Pages take no
 * properties, and their types are not looked at here: they depend on the router's own.
 */
export function page<M, K extends keyof M>(get: () => Promise<M>, name: K): FunctionComponent & { preload: () => Promise<void> } {
  let loading: Loading | undefined;
  const load = (): Loading => {
    if (loading) return loading;
    const begun: Loading = { promise: Promise.resolve() };
    begun.promise = get().then(
      (module) => void (begun.component = module[name] as ComponentType),
      () => void (begun.failed = true),
    );
    return (loading = begun);
  };
  /** Nobody asked for it yet: what failed is tried again by who does. */
  const preload = async () => {
    const begun = load();
    await begun.promise;
    if (begun.failed && loading === begun) loading = undefined;
  };
  let recovering: Promise<{ away: boolean }> | undefined;
  const recover = async () => {
    const away = !(await answers());
    // Nothing more is drawn of a page that is on its way out.
    if (!away && reloadOnce()) await new Promise(() => {});
    return { away };
  };
  const Page = () => {
    const begun = load();
    if (!begun.component && !begun.failed) use(begun.promise);
    if (begun.component) return createElement(begun.component);
    recovering ??= recover();
    throw new NotLoaded(use(recovering).away, () => {
      loading = undefined;
      recovering = undefined;
    });
  };
  all.push(preload);
  return Object.assign(Page, { preload });
}

/** Gets the files of all pages, one after the other: so they are there when the relay is away, or updated. */
export async function preloadAll(): Promise<void> {
  for (const preload of all) {
    if (reach.lost.aborted) return;
    await preload();
  }
  await import("../ui/Chart").catch(() => undefined);
}

/** The pictures there are: one stroke, 16 by 16, never without a word or a label beside them. */
const PATHS = {
  overview: "M2.5 13.5v-5m3.7 5v-9m3.7 9v-6m3.6 6v-11",
  events: "M2.5 4h11M2.5 8h8M2.5 12h5",
  send: "M13.5 2.5 7 9m6.5-6.5-4 11-2.5-4.5-4.5-2.5z",
  subscriptions: "M5.5 8a2 2 0 1 1-4 0 2 2 0 0 1 4 0Zm9-4a2 2 0 1 1-4 0 2 2 0 0 1 4 0Zm0 8a2 2 0 1 1-4 0 2 2 0 0 1 4 0ZM5.4 7.2l5.2-2.5m-5.2 4.1 5.2 2.5",
  deliveries: "M2 8h9m-3.5-3.5L11 8l-3.5 3.5M14 3v10",
  jobs: "M2.5 4.500h4m-4 3.500h4m-4 3.500h4M9 4.500l1.500 1.500 3-3M9 10.500l1.500 1.500 3-3",
  link: "M6.5 9.500l3-3M7 4.500l1.800-1.800a2.700 2.700 0 0 1 3.800 3.800L10.800 8.300M9 11.500l-1.800 1.800a2.700 2.700 0 0 1-3.800-3.800L5.200 7.700",
  system: "M8 2v3m0 0H4.5v3M8 5h3.5v3M2.5 8h4v3h-4zm7 0h4v3h-4zM4.5 11v2.5m7-2.5v2.5",
  key: "M10 9a3.5 3.5 0 1 0-3.3-2.300L2.5 11v2.500H5V12h1.500v-1.500H8l1-1.600M11 5h.01",
  users: "M8 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Zm-5 6c.3-2.7 2.3-4 5-4s4.7 1.3 5 4",
  tenants: "M2.5 13.500v-11h6v11m0-7h5v7m-11 0h11M4.800 5.500h1.4m-1.4 2.500h1.4m-1.4 2.500h1.4",
  audit: "M4 2.500h8v11H4zM6 5.500h4M6 8h4m-4 2.500h2",
  search: "M11.5 7a4.5 4.5 0 1 1-9 0 4.5 4.5 0 0 1 9 0Zm-1.3 3.3 3.3 3.2",
  copy: "M5.5 5.500h8v8h-8zM3 10.500h-.5v-8h8V3",
  check: "M3 8.5 6.5 12 13 4.5",
  cross: "m4 4 8 8m0-8-8 8",
  down: "m4 6 4 4 4-4",
  right: "m6 4 4 4-4 4",
  left: "m10 4-4 4 4 4",
  dots: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  pause: "M5.5 3.500v9m5-9v9",
  play: "M5 3.5 12 8l-7 4.500z",
  retry: "M13 8a5 5 0 1 1-1.5-3.500L13 6m0-3.500V6H9.5",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12Zm0-9.500V8l2.5 1.5",
  warning: "M8 2.5 14 13H2zM8 6.500v3m0 1.800v.01",
  cut: "M2 8h4m4 0h4M7 5l-1 6m4-6-1 6",
  probe: "M2 8h4l1.5-3.5 2 7L11 8h3",
  held: "M4 7V5.500a4 4 0 0 1 8 0V7m-8.5 0h9v6.500h-9z",
  stop: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM4 4l8 8",
  sun: "M8 10.500a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM8 2v1m0 10v1M2 8h1m10 0h1M3.8 3.800l.7.7m7 7 .7.700m0-8.4-.7.7m-7 7-.7.7",
  moon: "M13 9.500A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.500Z",
  screen: "M2 3h12v8H2zm4 10.500h4",
  out: "M9.5 2.500h4v11h-4M2.5 8h7M7 5.5 9.5 8 7 10.5",
  filter: "M2.5 4h11M4.5 8h7m-4.5 4h2",
  skip: "M3.5 3.5 9 8l-5.5 4.500zM12 3.500v9",
  trash: "M3 4.500h10M6.5 4.500v-2h3v2M4.5 4.500l.5 9h6l.5-9",
  open: "M6.5 3.500h-3v9h9v-3M9 3h4v4m0-4L7.5 8.5",
  menu: "M2.5 4.500h11M2.5 8h11m-11 3.500h11",
  plus: "M8 3v10M3 8h10",
  book: "M8 4.500C6.5 3.2 4.5 3 2.5 3v9c2 0 4 .3 5.5 1.500C9.5 12.3 11.5 12 13.5 12V3c-2 0-4 .2-5.5 1.500Zm0 0v9",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16, className }: { name: IconName; size?: number; className?: string }) {
  return (
    <svg
      viewBox="0 0 16 16" width={size} height={size} aria-hidden="true" focusable="false"
      fill="none" stroke="currentColor" strokeWidth={name === "dots" ? 2 : 1.4} strokeLinecap="round" strokeLinejoin="round"
      className={className ? `shrink-0 ${className}` : "shrink-0"}
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

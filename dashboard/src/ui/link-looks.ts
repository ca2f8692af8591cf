/** Links that look as buttons do. */
export const BUTTON_LINK = "inline-flex h-7 items-center gap-1.5 whitespace-nowrap rounded border border-edge/60 bg-panel px-2.5 font-medium hover:bg-sunken";
export const PRIMARY_LINK = "inline-flex h-7 items-center gap-1.5 whitespace-nowrap rounded bg-accent px-2.5 font-medium text-accent-text hover:brightness-110";

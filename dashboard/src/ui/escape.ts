/**
 * Escape closes what is highest, and a hint is higher than the dialog that its button is in: whoever
 * wants to leave would press it twice, and hints open by focus alone. So a hint says what it took.
 */
const taken = new WeakSet<Event>();

export function takenByHint(event: Event): void {
  taken.add(event);
}

/** Whether a key is Escape, and nothing but a hint was closed by it. */
export function leavesDialog(event: KeyboardEvent): boolean {
  return event.key === "Escape" && !event.isComposing && (!event.defaultPrevented || taken.has(event));
}

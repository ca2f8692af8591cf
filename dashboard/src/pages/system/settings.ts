/** Settings in force, as they are looked through. */
import type { Setting } from "../../api/types";

export interface Section {
  name: string;
  settings: Setting[];
}

/** Those that match every word, by section, in the order in which they came. */
export function sectionsOf(settings: readonly Setting[], q: string | undefined, changedOnly: boolean): Section[] {
  const words = (q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const sections = new Map<string, Section>();
  for (const setting of settings) {
    if (changedOnly && isDefault(setting)) continue;
    const text = `${setting.section}.${setting.key} ${variable(setting)} ${setting.value} ${setting.source ?? ""}`.toLowerCase();
    if (!words.every((word) => text.includes(word))) continue;
    const section = sections.get(setting.section) ?? { name: setting.section, settings: [] };
    section.settings.push(setting);
    sections.set(setting.section, section);
  }
  return [...sections.values()];
}

export function isDefault(setting: Setting): boolean {
  return setting.source === null || setting.source === undefined;
}

/** The environment variable that sets it. */
export function variable({ section, key }: { section: string; key: string }): string {
  return `POSTHASTE_${section ? `${section}__` : ""}${key}`.replaceAll(".", "__").toUpperCase();
}

/** What a browser calls itself, as people call it: "Firefox on Linux". */
const BROWSERS: readonly [RegExp, string][] = [[/\bEdgA?\//, "Edge"], [/\bOPR\//, "Opera"], [/\bFirefox\//, "Firefox"], [/\b(Headless)?Chrome\//, "Chrome"], [/\bSafari\//, "Safari"], [/^curl\//, "curl"]];
const SYSTEMS: readonly [RegExp, string][] = [[/iPhone|iPad/, "iOS"], [/Android/, "Android"], [/Windows/, "Windows"], [/Mac OS X|Macintosh/, "macOS"], [/CrOS/, "ChromeOS"], [/Linux/, "Linux"]];

export function browserOf(agent: string | null | undefined): string {
  if (!agent) return "unknown";
  const name = (of: readonly [RegExp, string][]) => of.find(([pattern]) => pattern.test(agent))?.[1];
  const [browser, system] = [name(BROWSERS), name(SYSTEMS)];
  if (!browser) return system ?? agent;
  return system ? `${browser} on ${system}` : browser;
}

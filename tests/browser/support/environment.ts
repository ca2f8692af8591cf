/** What the scripts hand over (scripts/tools.sh, scripts/backends.sh). */
export function given(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run the browser tests by \`make browser\` or \`make test\``);
  return value;
}

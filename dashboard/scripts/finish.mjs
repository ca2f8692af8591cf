// After vite: holds the budget of the first load, and writes each file beside itself as brotli and
// gzip, which is what the binary embeds and sends.
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const BUDGET = 250 * 1024; // bytes of script, gzip, before the first page is there
const dist = new URL("../dist/", import.meta.url).pathname;

const files = readdirSync(dist, { recursive: true }).filter((name) => statSync(join(dist, name)).isFile());
const compressible = files.filter((name) => /\.(js|css|html|svg|json)$/.test(name));
const gzipped = new Map();
for (const name of compressible) {
  const bytes = readFileSync(join(dist, name));
  const gzip = gzipSync(bytes, { level: 9 });
  gzipped.set(name, gzip.length);
  if (gzip.length >= bytes.length) continue;
  writeFileSync(join(dist, `${name}.gz`), gzip);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  writeFileSync(join(dist, `${name}.br`), brotliCompressSync(bytes, { params }));
}

// What index.html names, and whatever that imports statically: no page comes without it.
const first = new Set();
const visit = (name) => {
  if (first.has(name)) return;
  first.add(name);
  const text = readFileSync(join(dist, name), "utf8");
  for (const [, other] of text.matchAll(/(?:^|[;}\s])(?:import|export)(?:[\w$*{},\s]*?from)?\s*["']\.\/([^"']+\.js)["']/g)) visit(`assets/${other}`);
};
const page = readFileSync(join(dist, "index.html"), "utf8");
for (const [, name] of page.matchAll(/(?:src|href)="\/ui\/([^"]+\.js)"/g)) visit(name);
if (first.size < 2) throw new Error("index.html names no script: the measure of the first load is broken");
const total = [...first].reduce((sum, name) => sum + (gzipped.get(name) ?? 0), 0);
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
console.log(`first load: ${kib(total)} gzip of script in ${first.size} files (at most ${kib(BUDGET)})`);
if (total > BUDGET) {
  for (const name of first) console.error(`  ${kib(gzipped.get(name) ?? 0)}  ${name}`);
  console.error("the first load is over its budget: split a route, or drop a library");
  process.exit(1);
}

import { execFileSync } from "node:child_process";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { verification } from "./verification";

// The programs are run as they are shown: what receivers paste has to work. Other programs take the
// time they take.
vi.setConfig({ testTimeout: 60_000 });
const ID = "01a204d1";
const BODY = '{"a":1}';
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "verification-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function run(command: string, args: string[], env: Record<string, string> = {}): string {
  return execFileSync(command, args, { cwd: folder, env: { ...process.env, ...env }, encoding: "utf8" }).trim();
}

function judged(language: "node" | "python", isShared: boolean, signatures: string, key: string, timestamp: string): string {
  const headers = JSON.stringify({ "webhook-id": ID, "webhook-timestamp": timestamp, "webhook-signature": signatures });
  if (language === "node") {
    writeFileSync(join(folder, "check.mjs"), `${verification("node", isShared)}\nconsole.log(isGenuine(${headers}, Buffer.from(${JSON.stringify(BODY)}), ${JSON.stringify(key)}));\n`);
    return run(process.execPath, ["check.mjs"]);
  }
  writeFileSync(join(folder, "check.py"), `${verification("python", isShared)}\nprint(str(is_genuine(${headers}, ${JSON.stringify(BODY)}.encode(), ${JSON.stringify(key)})).lower())\n`);
  return run("python3", ["check.py"]);
}

const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const signed = (timestamp: string, secret = Buffer.alloc(32, 7)) => `v1,${createHmac("sha256", secret).update(`${ID}.${timestamp}.${BODY}`).digest("base64")}`;
const seconds = (ago: number) => String(Math.floor(Date.now() / 1_000) - ago);

it.each(["node", "python"] as const)("%s accepts what is genuine, and nothing else", (language) => {
  const now = seconds(0);
  expect(judged(language, true, signed(now), SECRET, now)).toBe("true");
  // While secrets overlap.
  expect(judged(language, true, `${signed(now, Buffer.alloc(32, 8))} ${signed(now)}`, SECRET, now)).toBe("true");
  expect(judged(language, true, signed(now, Buffer.alloc(32, 8)), SECRET, now)).toBe("false");
  const old = seconds(3_600);
  expect(judged(language, true, signed(old), SECRET, old)).toBe("false");
});

it("shell prints the signature", () => {
  writeFileSync(join(folder, "body.json"), BODY);
  expect(`v1,${run("sh", ["-c", verification("shell", true)], { ID, TIMESTAMP: "5", SECRET })}`).toBe(signed("5"));
});

it("node and shell accept key pairs", () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const key = `whpk_${Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url").toString("base64")}`;
  const now = seconds(0);
  const signature = sign(null, Buffer.from(`${ID}.${now}.${BODY}`), privateKey).toString("base64");
  expect(judged("node", false, `v1a,${signature}`, key, now)).toBe("true");
  expect(judged("node", false, `v1a,${Buffer.alloc(64).toString("base64")}`, key, now)).toBe("false");
  writeFileSync(join(folder, "body.json"), BODY);
  expect(run("bash", ["-c", verification("shell", false)], { ID, TIMESTAMP: now, SIGNATURE: signature, PUBLIC_KEY: key })).toContain("Successfully");
});

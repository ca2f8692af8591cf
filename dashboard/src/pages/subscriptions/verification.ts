/** How a receiver verifies what it gets (docs/signing.md): whole programs that can be pasted. */

export type Language = "node" | "python" | "shell";

const SHARED: Record<Language, string> = {
  node: `import { createHmac, timingSafeEqual } from "node:crypto";

// headers: of the request, in lower case; body: its bytes as they came.
export function isGenuine(headers, body, secret) {
  const age = Math.abs(Date.now() / 1000 - Number(headers["webhook-timestamp"]));
  if (!(age < 300)) return false;
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : Buffer.from(secret);
  const signed = createHmac("sha256", key)
    .update(\`\${headers["webhook-id"]}.\${headers["webhook-timestamp"]}.\`)
    .update(body)
    .digest();
  return headers["webhook-signature"].split(" ").some((one) => {
    const given = Buffer.from(one.replace(/^v1,/, ""), "base64");
    return given.length === signed.length && timingSafeEqual(given, signed);
  });
}`,
  python: `import base64, hashlib, hmac, time

# headers: of the request, in lower case; body: its bytes as they came.
def is_genuine(headers, body, secret):
    if abs(time.time() - int(headers["webhook-timestamp"])) > 300:
        return False
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    head = f'{headers["webhook-id"]}.{headers["webhook-timestamp"]}.'.encode()
    signed = "v1," + base64.b64encode(hmac.digest(key, head + body, hashlib.sha256)).decode()
    return any(hmac.compare_digest(one, signed) for one in headers["webhook-signature"].split(" "))`,
  shell: `# ID, TIMESTAMP: of the headers; body.json: the body as it came; SECRET: whsec_…
KEY=$(printf %s "\${SECRET#whsec_}" | base64 -d | od -An -vtx1 | tr -d ' \\n')
{ printf '%s.%s.' "$ID" "$TIMESTAMP"; cat body.json; } |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$KEY" -binary | base64
# It has to be what follows "v1," in webhook-signature.`,
};

const PAIR: Record<Language, string> = {
  node: `import { createPublicKey, verify } from "node:crypto";

// headers: of the request, in lower case; body: its bytes as they came.
export function isGenuine(headers, body, publicKey) {
  const age = Math.abs(Date.now() / 1000 - Number(headers["webhook-timestamp"]));
  if (!(age < 300)) return false;
  const raw = Buffer.from(publicKey.replace(/^whpk_/, ""), "base64");
  const key = createPublicKey({ format: "jwk", key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") } });
  const signed = Buffer.concat([Buffer.from(\`\${headers["webhook-id"]}.\${headers["webhook-timestamp"]}.\`), body]);
  return headers["webhook-signature"].split(" ").some((one) => verify(null, signed, key, Buffer.from(one.replace(/^v1a,/, ""), "base64")));
}`,
  python: `import base64, time
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

# headers: of the request, in lower case; body: its bytes as they came.
def is_genuine(headers, body, public_key):
    if abs(time.time() - int(headers["webhook-timestamp"])) > 300:
        return False
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    head = f'{headers["webhook-id"]}.{headers["webhook-timestamp"]}.'.encode()
    for one in headers["webhook-signature"].split(" "):
        try:
            key.verify(base64.b64decode(one.removeprefix("v1a,")), head + body)
            return True
        except Exception:
            continue
    return False`,
  shell: `# ID, TIMESTAMP: of the headers; SIGNATURE: what follows "v1a,"; PUBLIC_KEY: whpk_…
{ printf '\\x30\\x2a\\x30\\x05\\x06\\x03\\x2b\\x65\\x70\\x03\\x21\\x00'; printf %s "\${PUBLIC_KEY#whpk_}" | base64 -d; } > key.der
{ printf '%s.%s.' "$ID" "$TIMESTAMP"; cat body.json; } > signed
printf %s "$SIGNATURE" | base64 -d > signature
openssl pkeyutl -verify -pubin -keyform DER -inkey key.der -rawin -in signed -sigfile signature`,
};

export function verification(language: Language, isShared: boolean): string {
  return (isShared ? SHARED : PAIR)[language];
}

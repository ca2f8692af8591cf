// Verifies one delivery with the JavaScript library of Standard Webhooks.
// Reads {"secret", "headers", "body"} as JSON and ends with 0 where the signature is good.

import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const { secret, headers, body } = JSON.parse(readFileSync(0, "utf8"));
new Webhook(secret).verify(body, headers);

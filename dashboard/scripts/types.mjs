// Makes src/api/schema.gen.ts from openapi.json. A schema with a type or fields may say beside them which
// values or fields go together (`anyOf`, `oneOf`). As types these would become unions that hide the fields from
// those who read an answer: they are left to the relay, which refuses and says why.
import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

const root = new URL("..", import.meta.url);
const withoutRules = (_, value) => {
  if (value === null || typeof value !== "object" || !("properties" in value || "type" in value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([keyword]) => keyword !== "anyOf" && keyword !== "oneOf"));
};
const document = JSON.parse(readFileSync(new URL("openapi.json", root), "utf8"), withoutRules);
const types = await openapiTS(document, { rootTypes: false, silent: true });
writeFileSync(new URL("src/api/schema.gen.ts", root), astToString(types));

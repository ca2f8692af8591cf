import { fileURLToPath } from "node:url";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import type { Connect, Plugin } from "vite";
import { defineConfig } from "vitest/config";

// The relay that `vite` serves in front of; `make dev` sets both. A key is for the time in which
// one works without signing in, and is added here alone: nothing of it gets into what is built.
const relay = process.env["POSTHASTE_DEV_URL"] ?? "http://127.0.0.1:8080";
const key = process.env["POSTHASTE_DEV_KEY"];

/** Whoever develops with a key is signed in with it, without a session. */
function withKey(): Plugin {
  const session = {
    user: null, key: { id: "dev", name: "development" }, name: "development", role: null, scopes: ["admin"], tenant: null,
    csrfToken: "none", expiresAt: "2100-01-01T00:00:00Z",
  };
  const answer: Connect.NextHandleFunction = (request, response, next) => {
    if (key === undefined || request.url !== "/api/v1/session") return next();
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(session));
  };
  return {
    name: "with-key",
    configureServer: (server) => void server.middlewares.use(answer),
    configurePreviewServer: (server) => void server.middlewares.use(answer),
  };
}

const proxy = {
  "^/(api|health|metrics|docs)": { target: relay, ...(key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } }) },
};

export default defineConfig({
  base: "/ui/",
  plugins: [react(), tailwindcss(), withKey()],
  resolve: {
    alias: {
      // The policy of our pages allows no <style> made by scripts; see the file.
      "react-style-singleton": fileURLToPath(new URL("./src/ui/constructed-styles.ts", import.meta.url)),
    },
  },
  build: {
    target: "es2022",
    // No data: URLs: the policy lets fonts come from the relay alone.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000,
  },
  server: { proxy },
  preview: { proxy },
  // A document is made where a test asks for one by its first line.
  test: { environment: "node", restoreMocks: true, include: ["src/**/*.test.{ts,tsx}"] },
});

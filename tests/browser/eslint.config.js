import js from "@eslint/js";
import globals from "globals";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["node_modules", "results", "screenshots"] },
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      globals: globals.node,
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      "@typescript-eslint/consistent-type-imports": "error",
      // A fixture that needs no other one has to say so by an empty pattern.
      "no-empty-pattern": "off",
      "no-restricted-syntax": ["error", { selector: "CallExpression[callee.property.name='waitForTimeout']", message: "Wait on what the page shows." }],
    },
  },
);

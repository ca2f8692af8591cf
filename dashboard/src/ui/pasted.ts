/** Keys and secrets as they are pasted: out of a table, a file of variables, a line of code. */

/** A key alone. What is wrongly taken off only lets nobody in. */
export function bareKey(text: string): string {
  const value = text.trim().replace(/^(export\s+)?[A-Z][A-Z0-9_]*=/, "").replace(/^(Authorization:\s*)?Bearer\s+/i, "").replace(/[,;]+$/, "").trim();
  return /^(["'`]).*\1$/s.test(value) ? value.slice(1, -1).trim() : value;
}

/** Whether more was pasted than a secret. It is not mended: what signs has to be what the receiver has, to the letter. */
export function pastedFault(secret: string): string | undefined {
  const isMore = secret !== secret.trim() || /^(["'`]).*\1[,;]?$/s.test(secret) || /^whsec_.*[,;]$/.test(secret);
  return isMore ? "must be the secret alone, without blanks, quotation marks or a comma around it" : undefined;
}

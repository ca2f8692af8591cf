import type { ReactNode } from "react";
import { Explained } from "../ui/Tooltip";
import { TERMS, type TermName } from "./terms";

/** A word of ours, which says on hover, focus and touch what it means. */
export function Term({ of, children }: { of: TermName; children: ReactNode }) {
  return <Explained text={TERMS[of]}>{children}</Explained>;
}

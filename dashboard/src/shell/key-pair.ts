/** Two keys that belong together: `g`, and soon after it another. */

/** Milliseconds from the first to the second. */
export const SECOND_KEY_WITHIN = 1_200;

export type Step = "first" | "second" | "alone";

/** What each key is that it is told of, with the time it was pressed at. */
export function keyPair(first: string): (key: string, at: number) => Step {
  let beganAt: number | undefined;
  return (key, at) => {
    const isSecond = beganAt !== undefined && at - beganAt < SECOND_KEY_WITHIN;
    beganAt = !isSecond && key === first ? at : undefined;
    if (isSecond) return "second";
    return beganAt === undefined ? "alone" : "first";
  };
}

import { notifyManager, QueryClient, QueryObserver } from "@tanstack/react-query";
import { expect, it, vi } from "vitest";
import { KeepingCache } from "./keep-error";

function asked(client: QueryClient) {
  const answers: { good: (value: string) => void; bad: (error: Error) => void }[] = [];
  const observer = new QueryObserver(client, {
    queryKey: ["event", "1"], retry: false,
    queryFn: () => new Promise<string>((good, bad) => answers.push({ good, bad })),
  });
  const shown: string[] = [];
  // As React's binding listens: once for all that happens together, and then to what there is.
  observer.subscribe(notifyManager.batchCalls(() => {
    const result = observer.getCurrentResult();
    const now = result.data ?? result.error?.message ?? "skeleton";
    if (shown.at(-1) !== now) shown.push(now);
  }));
  const drawn = () => new Promise((done) => notifyManager.schedule(() => setTimeout(done)));
  const settled = () => vi.waitFor(() => expect(client.isFetching()).toBe(0));
  return { answers, shown, drawn, settled };
}

it("keeps what is wrong while it is asked again, until there is another answer", async () => {
  const client = new QueryClient({ queryCache: new KeepingCache() });
  const { answers, shown, drawn, settled } = asked(client);
  answers[0]?.bad(new Error("no answer"));
  await settled();
  void client.invalidateQueries();
  await vi.waitFor(() => expect(answers).toHaveLength(2));
  await drawn();
  answers[1]?.bad(new Error("another reason"));
  await settled();
  void client.invalidateQueries();
  await vi.waitFor(() => expect(answers).toHaveLength(3));
  await drawn();
  answers[2]?.good("an event");
  await settled();
  expect(shown).toEqual(["no answer", "another reason", "an event"]);
});

it("begins anew with a question that was let go", async () => {
  const client = new QueryClient({ queryCache: new KeepingCache() });
  const { answers, shown, settled } = asked(client);
  answers[0]?.bad(new Error("no answer"));
  await settled();
  client.removeQueries();
  expect(shown.at(-1)).toBe("no answer");
  const again = asked(client);
  await vi.waitFor(() => expect(again.answers).toHaveLength(1));
  expect(client.getQueryState(["event", "1"])).toMatchObject({ status: "pending", error: null });
});

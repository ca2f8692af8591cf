import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { adviceFor } from "../../api/problem";
import { endSession, listSessions, type OpenSession } from "../../api/users";
import { useInterval } from "../../live/Live";
import { Button } from "../../ui/Button";
import { ErrorState, Skeleton } from "../../ui/Feedback";
import { Badge } from "../../ui/State";
import { Time } from "../../ui/Time";
import { toast } from "../../ui/toasts";
import { browserOf } from "./browser";

/** Open sessions, of which each can be ended but the one that one is in. */
export function Sessions({ user, mine, empty }: {
  /** Whose; all that the caller may know, where it is not said. */
  user?: string;
  /** Which of them belong here. */
  mine?: (session: OpenSession) => boolean;
  empty: string;
}) {
  const client = useQueryClient();
  const query = useQuery({
    queryKey: ["sessions", user ?? "all"],
    queryFn: ({ signal }) => listSessions(user, signal),
    refetchInterval: useInterval(15_000),
  });
  const end = useMutation({
    mutationFn: async (ids: readonly string[]) => {
      for (const id of ids) await endSession(id);
      return ids.length;
    },
    onSuccess: (ended) => toast({ text: ended === 1 ? "The session is ended" : `${ended} sessions are ended`, detail: "Whoever was in it has to sign in again." }),
    onError: (error) => toast({ tone: "bad", text: "It was not ended", detail: adviceFor(error).title }),
    onSettled: () => client.invalidateQueries({ queryKey: ["sessions"] }),
  });
  if (query.isError && !query.data) return <ErrorState what="Sessions" error={query.error} onRetry={() => void query.refetch()} />;
  if (query.isPending) return <div className="flex flex-col gap-2 p-3"><Skeleton className="h-4 w-64" /><Skeleton className="h-4 w-48" /></div>;
  const rows = query.data.data.filter((session) => mine?.(session) ?? true);
  const others = rows.filter((session) => !session.current);
  if (rows.length === 0) return <p className="px-3 py-2.5 text-muted">{empty}</p>;
  return (
    <>
      <ul className="divide-y">
        {rows.map((session) => (
          <li key={session.id} className="flex items-center justify-between gap-3 px-3 py-1.5">
            <div className="min-w-0">
              <p className="flex min-w-0 items-center gap-2"><span className="truncate font-medium" title={session.userAgent ?? undefined}>{browserOf(session.userAgent)}</span>{session.current && <Badge tone="good">this one</Badge>}</p>
              <p className="text-sm text-muted"><span className="font-mono">{session.address}</span> · used <Time at={session.lastUsedAt} /> · begun <Time at={session.createdAt} /> · ends <Time at={session.expiresAt} /></p>
            </div>
            <Button barred={session.current && "It is the one that you are in: sign out instead"} busy={end.isPending && end.variables.includes(session.id)} onClick={() => end.mutate([session.id])} aria-label={`End the session of ${browserOf(session.userAgent)} from ${session.address}`}>End</Button>
          </li>
        ))}
      </ul>
      {others.length > 1 && <div className="border-t px-3 py-2"><Button kind="danger" busy={end.isPending} onClick={() => end.mutate(others.map((session) => session.id))}>End all {others.length === rows.length ? rows.length : `${others.length} others`}</Button></div>}
    </>
  );
}

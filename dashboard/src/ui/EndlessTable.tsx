import { useCallback, useMemo, type ReactNode } from "react";
import { Button } from "./Button";
import { ErrorState, SkeletonRows } from "./Feedback";
import { count } from "./format";
import { Table, type Column } from "./Table";

interface List<T> {
  data: { pages: readonly { rows: readonly T[]; next: string | undefined }[] } | undefined;
  error: unknown;
  isError: boolean;
  isPending: boolean;
  /** What is shown answers the search before. */
  isPlaceholderData: boolean;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  isFetchNextPageError: boolean;
  fetchNextPage: () => unknown;
  refetch: () => unknown;
}

/** An endless list in all its states. What it stands in gives it its height. */
export function EndlessTable<T>({ list, what, label, columns, narrow, rowKey, onOpen, empty }: {
  list: List<T>; what: string; label: string; columns: readonly Column<T>[]; narrow?: { head: string; cell: (row: T) => ReactNode }; rowKey: (row: T) => string; onOpen?: (row: T) => void; empty: ReactNode;
}) {
  const rows = useMemo(() => list.data?.pages.flatMap((page) => page.rows) ?? [], [list.data]);
  const { fetchNextPage, hasNextPage, isFetchingNextPage, isFetchNextPageError } = list;
  const onEnd = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage && !isFetchNextPageError) void fetchNextPage();
  }, [fetchNextPage, hasNextPage, isFetchNextPageError, isFetchingNextPage]);
  if (list.isError && rows.length === 0) return <ErrorState what={what} error={list.error} onRetry={() => list.refetch()} />;
  if (list.isPending) return <SkeletonRows rows={12} />;
  if (rows.length === 0 && !hasNextPage) return empty;
  const line = "flex h-9 items-center justify-center gap-2 px-3 text-sm text-muted";
  const last = list.data?.pages.at(-1);
  return (
    <Table
      label={label} height="fill" columns={columns} {...(narrow ? { narrow } : {})} rows={rows} rowKey={rowKey} onEnd={onEnd} isOld={list.isPlaceholderData} {...(onOpen ? { onOpen } : {})}
      foot={
        isFetchNextPageError ? <div className={line}>The next ones could not be read. <Button kind="quiet" icon="retry" onClick={() => fetchNextPage()}>Try again</Button></div>
          : isFetchingNextPage ? <div className={line} role="status">Reading on …</div>
            : hasNextPage ? <div className={line}><Button kind="quiet" icon="down" onClick={() => fetchNextPage()}>Read on</Button></div>
              : last?.next ? <div className={line}>{count(rows.length)} rows are as many as one list holds. Narrow it down to see others.</div>
                : rows.length > 20 ? <div className={line}>That is all.</div> : null
      }
    />
  );
}

/** A page that is one list: its head, its filters, and the list in what is left of the window. */
export function ListPage({ head, filters, children }: { head: ReactNode; filters?: ReactNode; children: ReactNode }) {
  return (
    <div className="list-page">
      {head}
      {filters}
      <div className="list-box">{children}</div>
    </div>
  );
}

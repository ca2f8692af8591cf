import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useMemo } from "react";
import { Button } from "../../ui/Button";
import { cx } from "../../ui/class-names";
import { EmptyState, ErrorState, SkeletonRows } from "../../ui/Feedback";
import { Input, Switch } from "../../ui/Field";
import { CopyButton } from "../../ui/Id";
import { Panel } from "../../ui/Panel";
import { settingsQuery } from "./queries";
import { isDefault, sectionsOf, variable } from "./settings";

const route = getRouteApi("/in/system");

/** Every setting of the process that answers; secrets are masked by it. */
export function SettingsPanel() {
  const { q, changed = false } = route.useSearch();
  const navigate = route.useNavigate();
  const query = useQuery(settingsQuery);
  const sections = useMemo(() => sectionsOf(query.data ?? [], q, changed), [query.data, q, changed]);
  if (query.isError && !query.data) return <Panel flush><ErrorState what="The settings" error={query.error} onRetry={() => void query.refetch()} /></Panel>;
  const all = query.data ?? [];
  const look = (next: { q?: string | undefined; changed?: boolean }) => {
    const to = { q, changed, ...next };
    void navigate({ search: { tab: "settings", ...(to.q ? { q: to.q } : {}), ...(to.changed ? { changed: true } : {}) }, replace: true });
  };
  const set = all.filter((setting) => !isDefault(setting)).length;
  const found = sections.reduce((sum, section) => sum + section.settings.length, 0);
  return (
    <>
      <search className="mb-3 flex flex-wrap items-center gap-x-4 gap-y-2" aria-label="Settings">
        <div className="min-w-60 max-w-lg flex-1"><Input type="search" aria-label="Search settings" placeholder="Search: a key, a value, a variable" value={q ?? ""} onChange={(event) => look({ q: event.target.value })} spellCheck={false} autoComplete="off" /></div>
        <Switch on={changed} onChange={(next) => look({ changed: next })} label="Only what is not the default" />
        <span role="status" className="text-sm text-muted">{query.data && (q || changed ? `${found} of ${all.length}` : `${all.length} settings, ${set} of them set`)}</span>
      </search>
      {query.isPending ? <Panel flush><SkeletonRows rows={16} /></Panel> : found === 0 ? (
        <Panel>
          <EmptyState icon="search" title={changed && !q ? "All settings are as they come" : "No setting matches"}>
            <Button onClick={() => void navigate({ search: { tab: "settings" }, replace: true })}>Show all settings</Button>
          </EmptyState>
        </Panel>
      ) : (
        <div className="flex flex-col gap-3">
          {sections.map((section) => (
            <Panel key={section.name} flush title={<span className="font-mono text-sm">[{section.name}]</span>} aside={<span className="text-sm text-muted">{section.settings.length}</span>}>
              <dl className="divide-y">
                {section.settings.map((setting) => {
                  const isSet = !isDefault(setting);
                  return (
                    <div key={setting.key} className="grid items-baseline gap-x-4 px-3 py-1 sm:grid-cols-[minmax(0,18rem)_minmax(0,1fr)_minmax(0,20rem)]">
                      <dt className="min-w-0 font-mono text-sm"><CopyButton text={variable(setting)} what="Variable">{setting.key}</CopyButton></dt>
                      <dd className={cx("min-w-0 break-words font-mono text-sm", isSet && "font-semibold")}>{setting.value}</dd>
                      <dd className="min-w-0 break-words text-sm text-muted">{isSet ? <span className="text-accent">{setting.source}</span> : "default"}</dd>
                    </div>
                  );
                })}
              </dl>
            </Panel>
          ))}
          <p className="text-sm text-muted">What each means stands in <span className="font-mono">config/default.toml</span>. A click on a key copies the variable that sets it. They are read when the relay starts.</p>
        </div>
      )}
    </>
  );
}

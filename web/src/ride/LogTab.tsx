import { useEffect, useState, type JSX } from "react";
import { exact } from "../format";
import { t } from "../i18n";
import { Waiting } from "../office/parts";
import { reason } from "../problems";
import { ask } from "./data";
import { Find } from "./DispatchPage";
import type { LiveFleet } from "./fleet";
import type { Entry } from "./types";
import { told, word } from "./words";

const MOST = 200;
const MOST_NAMED = 3;

/** What was decided, by whom or what, and why; newest first. */
export function LogTab({ fleet }: { fleet: LiveFleet }): JSX.Element {
  const [entries, setEntries] = useState<Entry[]>();
  const [problem, setProblem] = useState("");
  const [query, setQuery] = useState("");
  useEffect(() => {
    ask<{ entries: Entry[] }>("/log").then(({ entries: found }) => { setEntries(found); setProblem(""); }, (error: unknown) => setProblem(reason(error)));
  }, [fleet.version]);
  if (!entries) return <Waiting problem={problem} />;
  const bySeq = new Map([...fleet.news, ...entries].map((entry) => [entry.seq, entry]));
  const wish = query.trim().toLowerCase();
  const words = (entry: Entry): string => told(entry.text) || word("event", entry.kind);
  const plate = ({ van, vans = [] }: Entry): string => (van ? [van] : vans).slice(0, MOST_NAMED).map((id) => fleet.vans.get(id)?.plate ?? id).join(", ") + (vans.length > MOST_NAMED ? " …" : "");
  const shown = [...bySeq.values()].sort((a, b) => b.seq - a.seq).filter((entry) => !wish || [words(entry), entry.kind, plate(entry), entry.request ?? "", entry.reason ?? "", entry.by ?? ""].some((text) => text.toLowerCase().includes(wish))).slice(0, MOST);
  return (
    <>
      <Find label={t("ride.findLog")} value={query} onChange={setQuery} />
      {shown.length === 0 ? <p className="hint">{t("ride.noneFound")}</p> : (
        <ol className="decisions" aria-label={t("ride.tab.log")} tabIndex={0}>
          {shown.map((entry) => (
            <li key={entry.seq} data-by={entry.by}>
              <time dateTime={entry.at}>{exact(entry.at).slice(11)}</time>
              <span><b>{words(entry)}</b>{entry.reason && <> – {word("why", entry.reason)}</>}<small>{[entry.by && word("by", entry.by), plate(entry), entry.request?.slice(-8)].filter(Boolean).join(" · ")}</small></span>
            </li>
          ))}
        </ol>
      )}
    </>
  );
}

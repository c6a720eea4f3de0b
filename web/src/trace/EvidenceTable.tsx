import { useEffect, useId, useMemo, useRef, useState, useSyncExternalStore, type JSX, type KeyboardEvent, type UIEvent } from "react";
import { ToggleButton } from "react-aria-components";
import { exact, number } from "../format";
import { hasMessage, t } from "../i18n";
import { useValue } from "../state";
import { swatch } from "../ui/swatch";
import { KIND_COLOUR, KINDS, lastBy, type Course, type Row } from "./course";
import type { EvidenceKind } from "./types";
import { span, word } from "./words";

const ROW_PX = 52;
const MARGIN = 6;

/**
 * The rows of evidence as a list of which only the rows in sight are in the page, so that 20,000 cost no more than 20. The
 * arrow keys go from row to row; each takes map and time along. The row before the shown instant is marked.
 */
export function EvidenceTable({ course }: { course: Course }): JSX.Element {
  const [kinds, setKinds] = useState<ReadonlySet<EvidenceKind>>(() => new Set(KINDS));
  const [onlyPointed, setOnlyPointed] = useState(false);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(480);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  const picked = useValue(course.picked);
  const pointed = useValue(course.pointed);
  const [from, to] = useValue(course.view);

  const present = useMemo(() => KINDS.map((kind) => [kind, course.rows.reduce((sum, row) => sum + Number(row.kind === kind), 0)] as const).filter(([, count]) => count > 0), [course]);
  const rows = useMemo(
    () => course.rows.filter((row) => kinds.has(row.kind) && row.to >= from && row.from <= to && (!onlyPointed || pointed.has(row.id))),
    [course, kinds, from, to, onlyPointed, pointed],
  );
  useEffect(() => {
    if (pointed.size === 0) setOnlyPointed(false);
  }, [pointed]);
  const now = useNow(course, rows);

  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setHeight(entry!.contentRect.height));
    watch.observe(list.current!);
    return () => watch.disconnect();
  }, []);
  const chosen = rows.findIndex((row) => row.id === picked);
  const kept = chosen >= 0 ? chosen : now;
  useEffect(() => {
    const element = list.current!;
    if (kept < 0) {
      element.scrollTop = 0;
      return;
    }
    const [up, down] = [kept * ROW_PX, (kept + 1) * ROW_PX];
    if (up < element.scrollTop) element.scrollTop = up - (chosen >= 0 ? 0 : ROW_PX);
    else if (down > element.scrollTop + element.clientHeight) element.scrollTop = down - element.clientHeight + ROW_PX;
  }, [kept, chosen, rows]);

  function keys(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(height / ROW_PX) - 1);
    const from = chosen < 0 ? now : chosen; // where nothing is picked, the shown instant is where one is
    const next = { ArrowDown: chosen < 0 ? from : from + 1, ArrowUp: from - 1, PageDown: from + page, PageUp: from - page, Home: 0, End: rows.length - 1 }[event.key];
    if (next === undefined || rows.length === 0) return;
    event.preventDefault();
    course.playing.value = false;
    course.pick(rows[Math.max(0, Math.min(rows.length - 1, next))]!.id);
  }
  const first = Math.max(0, Math.floor(top / ROW_PX) - MARGIN);
  const shown = rows.slice(first, Math.ceil((top + height) / ROW_PX) + MARGIN);
  return (
    <section className="evidence" aria-label={t("trace.evidence")}>
      <div className="kinds" role="group" aria-label={t("trace.kinds")}>
        {present.map(([kind, count]) => (
          <ToggleButton
            key={kind} className="kind" isSelected={kinds.has(kind)}
            onChange={(on) => setKinds((before) => { const next = new Set(before); if (on) next.add(kind); else next.delete(kind); return next; })}
          >
            <span className="dot" style={swatch(KIND_COLOUR[kind])} aria-hidden="true" />{word("kind", kind)} <small>{number(count)}</small>
          </ToggleButton>
        ))}
        {pointed.size > 0 && <label className="tick"><input type="checkbox" checked={onlyPointed} onChange={(event) => setOnlyPointed(event.target.checked)} />{t("trace.onlyPointed", { count: number(pointed.size) })}</label>}
      </div>
      <div
        ref={list} className="rows" role="listbox" tabIndex={0} aria-label={t("trace.evidenceRows", { count: number(rows.length) })}
        aria-activedescendant={chosen >= first && chosen < first + shown.length ? `${id}-${chosen}` : undefined}
        onKeyDown={keys} onScroll={(event: UIEvent<HTMLDivElement>) => setTop(event.currentTarget.scrollTop)}
      >
        {rows.length === 0 && <div role="option" aria-selected="false" className="hint">{t("trace.noEvidence")}</div>}
        <div className="spacer" role="presentation" style={{ height: rows.length * ROW_PX }}>
          {shown.map((row, offset) => {
            const index = first + offset;
            return (
              <div
                key={row.id} id={`${id}-${index}`} role="option" className="row" aria-selected={index === chosen} aria-posinset={index + 1} aria-setsize={rows.length}
                data-now={index === now || undefined} data-pointed={pointed.has(row.id) || undefined} data-unused={!row.used || undefined}
                style={{ transform: `translateY(${index * ROW_PX}px)` }} onClick={() => course.pick(row.id)}
              >
                <EvidenceRow row={row} />
              </div>
            );
          })}
        </div>
      </div>
      {chosen >= 0 && <Picked row={rows[chosen]!} />}
    </section>
  );
}

/** The picked row in words: what it says, and what is wrong with it. */
function Picked({ row }: { row: Row }): JSX.Element {
  return (
    <div className="picked" role="status">
      <p><b>{row.label || word("kind", row.kind)}</b> <span>{span(row)}{row.radius_m !== null && ` · ${t("trace.within", { metres: number(Math.round(row.radius_m)) })}`}</span></p>
      <p>{!row.used && <b>{t("trace.unused")}: </b>}{why(row)}{row.flags.filter((flag) => flag !== row.why).map((flag) => ` ${hasMessage(`trace.why.${flag}`) ? t(`trace.why.${flag}`) : word("flag", flag)}`)}</p>
    </div>
  );
}

/** The index of the last of the rows that began by the shown instant; renders again only when it becomes another. */
function useNow(course: Course, rows: readonly Row[]): number {
  return useSyncExternalStore(course.at.watch, () => lastBy(rows, course.at.value));
}

function EvidenceRow({ row }: { row: Row }): JSX.Element {
  const day = exact(row.from, false);
  const end = row.to > row.from ? exact(row.to, false) : "";
  return (
    <>
      <span className="row-time">{day.slice(5)}{end && <small>– {end.slice(0, 10) === day.slice(0, 10) ? end.slice(11) : end.slice(5)}</small>}</span>
      <span className="row-what"><span className="dot" style={swatch(KIND_COLOUR[row.kind])} aria-hidden="true" /><span><b>{row.label || word("kind", row.kind)}</b><small>{[word("kind", row.kind), row.radius_m === null ? t("trace.noPlace") : t("trace.within", { metres: number(Math.round(row.radius_m)) })].join(" · ")}</small></span></span>
      <span className="row-flags">
        {row.flags.map((flag) => <span key={flag} className="flag">{word("flag", flag)}</span>)}
        {!row.used && <span className="flag unused" title={why(row)}>{t("trace.unused")}<span className="visually-hidden">: {why(row)}</span></span>}
      </span>
    </>
  );
}

/** Why a row was used or was not, in words where there are words for it. */
export function why(row: Pick<Row, "why">): string {
  return hasMessage(`trace.why.${row.why}`) ? t(`trace.why.${row.why}`) : row.why;
}

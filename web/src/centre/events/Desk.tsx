import { Bell, BellOff, Plus, Search, TriangleAlert, WifiOff } from "lucide";
import { useCallback, useEffect, useMemo, useRef, useState, type JSX, type KeyboardEvent } from "react";
import { Button, Input, Label, TextField, ToggleButton } from "react-aria-components";
import { api } from "../../api";
import { age, number } from "../../format";
import { t, text } from "../../i18n";
import { Choice, Waiting } from "../../office/parts";
import { reason } from "../../problems";
import { useValue } from "../../state";
import { Icon } from "../../ui/Icon";
import { To, useShell, useTitle } from "../../ui/page";
import { features } from "../rules/map";
import { MapView } from "../rules/MapView";
import { chime, setSilent, silent } from "./alarm";
import { byUrgency, placeOf, pointOf, ROOT, useChanges, useClock, word } from "./data";
import { Escalated, Grade } from "./parts";
import { SEVERITIES, type CityEvent, type Notice } from "./types";

/** As many as the server gives at once; more that go on at a time are told as a number. */
const MOST = 200;
/** How long changes are gathered before the list is asked for again. */
const GATHER_MS = 250;

interface Listed { items: CityEvent[]; next: string | null }

/** The desk: what goes on, the gravest first, as it changes. */
export function Desk(): JSX.Element {
  const shell = useShell();
  const [events, setEvents] = useState<CityEvent[]>();
  const [more, setMore] = useState(false);
  const [problem, setProblem] = useState("");
  const [state, setState] = useState("open,taken");
  const [severity, setSeverity] = useState("");
  const [category, setCategory] = useState("");
  const [query, setQuery] = useState("");
  const [said, setSaid] = useState("");
  const [notice, setNotice] = useState<Notice>();
  const [chosen, setChosen] = useState<string>();
  const known = useRef<Set<string>>(undefined);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const quiet = useValue(silent);
  const at = useClock();
  useTitle(t("centre.events.title"));

  const load = useCallback(async () => {
    try {
      const found = await api.get<Listed>(`${ROOT}/events?state=${state}&limit=${MOST}`);
      const fresh = found.items.filter((one) => one.severity === "critical" && one.state === "open" && known.current && !known.current.has(one.id));
      known.current = new Set([...(known.current ?? []), ...found.items.map(({ id }) => id)]);
      if (fresh.length) {
        chime();
        setSaid(fresh.map((one) => t("centre.events.newCritical", { title: text(one.title), place: placeOf(one) })).join(" "));
      }
      setEvents(found.items);
      setMore(found.next !== null);
      setProblem("");
    } catch (error) {
      setProblem(reason(error));
    }
  }, [state]);
  useEffect(() => void load(), [load]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const up = useChanges(() => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => void load(), GATHER_MS);
  }, setNotice);

  const wish = query.trim().toLowerCase();
  const shown = useMemo(() => (events ?? [])
    .filter((one) => (!severity || one.severity === severity) && (!category || one.category === category))
    .filter((one) => !wish || [one.number, text(one.title), placeOf(one), one.owner ?? "", word("category", one.category)].some((words) => words.toLowerCase().includes(wish)))
    .sort(byUrgency), [events, severity, category, wish]);
  const categories = useMemo(() => [...new Set((events ?? []).map((one) => one.category))].sort(), [events]);
  const open = (events ?? []).filter((one) => one.state !== "closed");
  const drawn = useMemo(() => ({
    firings: features(shown.flatMap((one) => {
      const point = one.state !== "closed" && pointOf(one.location);
      return point ? [{ type: "Feature" as const, geometry: { type: "Point" as const, coordinates: point }, properties: { on: one.id === chosen } }] : [];
    })),
  }), [shown, chosen]);
  const fit = useMemo(() => shown.flatMap((one) => pointOf(one.location) ?? []).reduce<[number, number][]>((pairs, _, i, all) => (i % 2 ? pairs : [...pairs, [all[i]!, all[i + 1]!]]), []), [shown]);

  return (
    <div className="events-desk">
      <div className="events-side">
        <header className="page-head">
          <h1>{t("centre.events.title")}</h1>
          <div className="actions">
            <ToggleButton className="icon-button" isSelected={quiet} onChange={setSilent} aria-label={t("centre.events.silence")}><Icon node={quiet ? BellOff : Bell} /></ToggleButton>
            {shell.may("centre.act") && <To path="/events/new" className="button primary"><Icon node={Plus} size={16} />{t("centre.events.raise")}</To>}
          </div>
        </header>
        <p className="visually-hidden" role="alert">{said}</p>
        {!up && <p className="line-state" role="status"><Icon node={WifiOff} size={16} />{t("centre.events.noLine")}</p>}
        {notice && (
          <p className="event-notice" role="status"><Icon node={TriangleAlert} size={18} /><span><To path={`/events/${notice.event}`}>{notice.number}</To> {text(notice.text)}</span>
            <Button className="button small" onPress={() => { void api.post(`${ROOT}/notices/${notice.seq}/seen`, {}).catch(() => undefined); setNotice(undefined); }}>{t("centre.events.read")}</Button></p>
        )}
        <dl className="tiles event-tiles" aria-label={t("centre.events.counts")}>
          <div className="tile" data-severity="none"><dt>{t("centre.events.unowned")}</dt><dd><b>{number(open.filter((one) => one.state === "open").length)}</b></dd></div>
          {SEVERITIES.slice(0, 4).map((one) => <div key={one} className="tile" data-severity={one}><dt>{word("severity", one)}</dt><dd><b>{number(open.filter((event) => event.severity === one).length)}</b></dd></div>)}
        </dl>
        <div className="event-filters">
          <TextField className="find" value={query} onChange={setQuery} type="search"><Label className="visually-hidden">{t("centre.events.find")}</Label><Icon node={Search} size={16} /><Input placeholder={t("centre.events.find")} autoComplete="off" /></TextField>
          <Choice name="state" label={t("centre.events.state")} value={state} onChange={setState} options={[["open,taken", t("centre.events.active")], ["open", word("eventState", "open")], ["closed", word("eventState", "closed")], ["open,taken,closed", t("centre.events.all")]]} />
          <Choice name="severity" label={t("centre.events.severity")} value={severity} onChange={setSeverity} options={[["", t("centre.events.any")], ...SEVERITIES.map((one) => [one, word("severity", one)] as const)]} />
          <Choice name="category" label={t("centre.events.category")} value={category} onChange={setCategory} options={[["", t("centre.events.any")], ...categories.map((one) => [one, word("category", one)] as const)]} />
        </div>
        {(problem || !events) && <Waiting problem={problem} />}
        {events && shown.length === 0 && <p className="hint">{t("centre.events.none")}</p>}
        <ul className="event-list" onKeyDown={listKeys}>
          {shown.map((event) => (
            <li key={event.id} className="event-row" data-severity={event.severity} data-state={event.state} onMouseEnter={() => setChosen(event.id)} onFocus={() => setChosen(event.id)}>
              <div>
                <p className="event-line"><Grade severity={event.severity} /><span className="event-number">{event.number}</span>{event.count > 1 && <span className="chip">{t("centre.events.folded", { count: number(event.count) })}</span>}{event.flapping && <span className="chip">{t("centre.events.flapping")}</span>}<Escalated event={event} /></p>
                <h2><To path={`/events/${event.id}`} className="event-link">{text(event.title)}</To></h2>
                <p className="event-place">{[word("category", event.category), placeOf(event)].filter(Boolean).join(" · ")}</p>
              </div>
              <p className="event-end"><time dateTime={event.opened} data-at={at > 0 ? undefined : ""}>{age(event.opened)}</time><span>{event.owner ? t("centre.events.with", { name: event.owner }) : word("eventState", event.state)}</span></p>
            </li>
          ))}
        </ul>
        {more && <p className="hint">{t("centre.events.more", { count: number(MOST) })}</p>}
      </div>
      <section className="events-map" aria-label={t("centre.events.map")}><MapView label={t("centre.events.map")} drawn={drawn} fit={fit} /></section>
    </div>
  );
}

/** Moves the focus among the events by arrow keys, Home and End. */
function listKeys(event: KeyboardEvent<HTMLElement>): void {
  const rows = [...event.currentTarget.querySelectorAll<HTMLElement>(".event-link")];
  const here = rows.indexOf(document.activeElement as HTMLElement);
  const next = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (here < 0 || next === undefined) return;
  event.preventDefault();
  rows[Math.min(rows.length - 1, Math.max(0, next))]?.focus();
}

import { Accessibility, Check, CircleParking, Coffee, LocateFixed, LocateOff, Moon, Sun, TriangleAlert, Users, X } from "lucide";
import { useEffect, useMemo, useRef, useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { clock, number } from "../format";
import { t } from "../i18n";
import { FormDialog } from "../office/parts";
import { reason } from "../problems";
import { theme, themeChoice } from "../settings";
import { remembered, useValue } from "../state";
import { Icon } from "../ui/Icon";
import { useShell, useTitle } from "../ui/page";
import { ask, useNow } from "./data";
import { useLasting } from "./lasting";
import { collection, EMPTY, line, point, type Drawn } from "./map";
import { MapView } from "./MapView";
import { LineState, State } from "./parts";
import { useLit, usePosition } from "./position";
import { isDone, present, Queue, type Conflict } from "./queue";
import { useStream } from "./stream";
import type { Action, DriverStop, LonLat, Passenger, Plan } from "./types";
import { at, between, lasting, told, until, word } from "./words";

const sharing = remembered<"on" | "off">("hanmaru.ride.share", (value): value is "on" | "off" => value === "on" || value === "off", "off");

/** Where the van goes next, who gets on and off there, and what the driver says about it. */
export function DriverPage(): JSX.Element {
  const shell = useShell();
  const [queue] = useState(() => new Queue(shell.session.name));
  useEffect(() => () => queue.close(), [queue]);
  const { plan, planAt, pending, conflicts } = useValue(queue.kept);
  const [problem, setProblem] = useState("");
  const { line: state, lostAt } = useStream("/driver/live", { plan: (fresh: Plan) => queue.take(fresh) });
  useEffect(() => {
    if (state === "lost") return;
    ask<Plan>("/driver").then((fresh) => { queue.take(fresh); setProblem(""); }, (error: unknown) => setProblem(reason(error)));
    if (state === "live") void queue.send();
  }, [queue, state]);
  const share = useValue(sharing);
  const { at: here, denied } = usePosition(share === "on", ([lon, lat]) => queue.add({ kind: "position", lon, lat }));
  useLit();
  useLasting("driver");
  useTitle(t("ride.driver"));
  const seen = useMemo(() => (plan ? present(plan, pending) : undefined), [plan, pending]);
  const waiting = pending.filter(({ action }) => action.kind !== "position").length;

  const act = (what: Omit<Action, "id" | "at">, about: string): void => queue.add(what, about);
  return (
    <div className="driver" data-status={seen?.van.status}>
      <header className="driver-strip">
        <b className="plate">{seen?.van.plate ?? t("ride.driver")}</b>
        {seen && <State of="status" state={seen.van.status} />}
        <LineState line={state} lostAt={state === "lost" && planAt ? planAt : lostAt} />
        <p role="status" className="waiting-count">{waiting > 0 && t("ride.pending", { count: number(waiting) })}</p>
        <span className="driver-tools">
          <Button className="icon-button" aria-pressed={share === "on"} aria-label={t("ride.share")} onPress={() => (sharing.value = share === "on" ? "off" : "on")}><Icon node={share === "on" ? LocateFixed : LocateOff} /></Button>
          <DayNight />
        </span>
      </header>
      {denied && <p role="alert" className="ride-note" data-tone="warn">{t("ride.hereDenied")}</p>}
      {conflicts.length > 0 && <Conflicts conflicts={conflicts} dismiss={(id) => queue.dismiss(id)} />}
      {!seen && (problem ? <p role="alert" className="problem">{problem}</p> : <p role="status" className="hint">{t("office.loading")}</p>)}
      {seen && <Drive plan={seen} here={here} act={act} />}
    </div>
  );
}

function DayNight(): JSX.Element {
  const dark = useValue(theme) === "dark";
  return <Button className="icon-button" aria-label={t(dark ? "ride.day.on" : "ride.night.on")} onPress={() => (themeChoice.value = dark ? "light" : "dark")}><Icon node={dark ? Sun : Moon} /></Button>;
}

/** What the server did not take of what was done without a line. */
function Conflicts({ conflicts, dismiss }: { conflicts: readonly Conflict[]; dismiss: (id: string) => void }): JSX.Element {
  return (
    <div role="alert">
      <ul className="conflicts">
        {conflicts.map(({ action, about, reason: because }) => (
          <li key={action.id} className="ride-note" data-tone="bad">
            <Icon node={TriangleAlert} size={20} />
            <span><b>{t("ride.notTaken", { time: clock(action.at), what: word("did", action.kind), about })}</b> {told(because.text) || word("conflict", because.code)}</span>
            <Button className="icon-button quiet" aria-label={t("ride.dismiss")} onPress={() => dismiss(action.id)}><Icon node={X} /></Button>
          </li>
        ))}
      </ul>
    </div>
  );
}

type Act = (what: Omit<Action, "id" | "at">, about: string) => void;

function Drive({ plan, here, act }: { plan: Plan; here: LonLat | null; act: Act }): JSX.Element {
  const now = useNow(5000);
  const { van, stops, aboard, breaks } = plan;
  const [next, ...later] = stops;
  const resting = van.status === "break";
  const broken = van.status === "broken";
  const rest = breaks.find(({ state }) => state === "begun") ?? breaks[0];
  const seen: LonLat = here ?? [van.lon, van.lat];
  const drawn: Drawn = useMemo(() => ({
    paths: next?.path?.length ? collection([...later.flatMap(({ path }) => (path?.length ? [line(path, { on: false })] : [])), line(next.path)]) : EMPTY,
    ends: collection(stops.map(({ key, stop }, index) => point(stop.lon, stop.lat, { k: index === 0 ? "next" : "later", name: told(stop.name), id: key }))),
    vans: collection([point(seen[0], seen[1], { look: "busy", name: van.plate, bearing: van.bearing ?? 0, on: Boolean(here) })]),
    // `later` is `stops` without its first.
  }), [stops, seen[0], seen[1], van.plate, van.bearing]);
  const fit = useMemo(() => (next ? [...(next.path ?? []), [next.stop.lon, next.stop.lat] as LonLat, seen] : [seen]), [next, seen[0], seen[1]]);
  const changed = useChanged(next);

  return (
    <div className="driver-body">
      <MapView drawn={drawn} fit={fit} fitKey={next ? `${next.key} ${next.arrived}` : "none"} />
      <div className="driver-main">
        <p role="status" className="plan-changed">{changed && <span className="ride-note" data-tone="warn">{t("ride.planChanged", { stop: changed })}</span>}</p>
        {broken ? (
          <section className="next-stop"><h1>{t("ride.brokenDown")}</h1><p>{t("ride.brokenDownHelp")}</p>
            <Button className="button primary huge" onPress={() => act({ kind: "back" }, van.plate)}>{t("ride.backInService")}</Button>
          </section>
        ) : resting ? (
          <section className="next-stop"><h1>{t("ride.onBreak")}</h1>{rest && <p className="big-time">{between(rest)}</p>}
            <Button className="button primary huge" onPress={() => act({ kind: "break-end" }, t("ride.break"))}><Icon node={Coffee} size={24} />{t("ride.endBreak")}</Button>
          </section>
        ) : next ? <NextStop key={next.key} stop={next} now={now} act={act} /> : (
          <section className="next-stop"><h1>{t("ride.noStops")}</h1><p>{t("ride.noStopsHelp")}</p></section>
        )}
        {later.length > 0 && (
          <section className="later" aria-labelledby="later-head"><h2 id="later-head">{t("ride.laterStops", { count: number(later.length) })}</h2>
            <ol>{later.map((stop) => <li key={stop.key}><time dateTime={stop.arrive_at ?? undefined}>{stop.arrive_at && clock(stop.arrive_at)}</time><span><b>{told(stop.stop.name)}</b><small>{stop.actions.map((one) => `${one.kind === "pickup" ? "+" : "−"}${number(one.seats + one.wheelchairs)} ${told(one.alias)}`).join(", ")}</small></span></li>)}</ol>
          </section>
        )}
        <section className="aboard" aria-labelledby="aboard-head"><h2 id="aboard-head">{t("ride.aboardNow", { count: number(aboard.reduce((sum, one) => sum + one.seats + one.wheelchairs, 0)) })}</h2>
          {aboard.length > 0 && <ul>{aboard.map((one) => <li key={one.request}><b>{told(one.alias)}</b><Seats of={one} />{one.to && <small>→ {told(one.to.name)}</small>}</li>)}</ul>}
        </section>
        <section className="shift" aria-label={t("ride.shift")}>
          <p>{t("ride.shift")} {between(plan.shift)}</p>
          {rest && !resting && <p>{t("ride.break")} {between(rest)}</p>}
          <div className="shift-buttons">
            {!resting && !broken && <Button className="button large" isDisabled={!!next?.arrived || aboard.length > 0} onPress={() => act({ kind: "break-start" }, t("ride.break"))}><Icon node={Coffee} />{t("ride.startBreak")}</Button>}
            {!broken && <FormDialog danger open={t("ride.breakdown")} title={t("ride.breakdownTitle")} help={t("ride.breakdownHelp")} submit={t("ride.breakdownYes")} run={async () => act({ kind: "breakdown" }, van.plate)} />}
          </div>
        </section>
      </div>
    </div>
  );
}

/** The stop that the van goes to, or is at: when, who, and the one button that is next. */
function NextStop({ stop, now, act }: { stop: DriverStop; now: number; act: Act }): JSX.Element {
  const name = told(stop.stop.name);
  const due = stop.arrive_at;
  const late = !stop.arrived && due ? (now - Date.parse(stop.leave_at ?? due)) / 1000 : 0;
  return (
    <section className="next-stop" data-arrived={stop.arrived || undefined} aria-labelledby="next-head">
      <header>
        <div><p className="eyebrow">{t(stop.arrived ? "ride.atStop" : "ride.nextStop")}</p><h1 id="next-head">{name}</h1></div>
        {due && <p className="big-time" data-late={late > 60 || undefined}><b>{at(due)}</b><small>{late > 60 ? t("ride.lateBy", { time: lasting(late) }) : until(due, now)}</small></p>}
      </header>
      {stop.actions.length === 0 && <p>{t("ride.waitThere")}</p>}
      <ul className="manifest">
        {stop.actions.map((one) => <PassengerRow key={`${one.kind} ${one.request}`} stop={stop} one={one} act={act} />)}
      </ul>
      {!stop.arrived && <Button className="button primary huge" onPress={() => act({ kind: "arrived", stop: stop.stop.id }, name)}><Icon node={CircleParking} size={26} />{t("ride.arrived")}</Button>}
    </section>
  );
}

function PassengerRow({ stop, one, act }: { stop: DriverStop; one: Passenger; act: Act }): JSX.Element {
  const on = one.kind === "pickup";
  const about = told(one.alias);
  const done = isDone(one);
  return (
    <li data-kind={one.kind} data-done={done || undefined}>
      <div className="who">
        <span className="on-off">{t(on ? "ride.on" : "ride.off")}</span>
        <b>{about}</b><Seats of={one} />
        {on && one.code && !done && <span className="code-check"><small>{t("ride.code")}</small> <b aria-label={[...one.code].join(" ")}>{one.code}</b></span>}
      </div>
      {done ? <p className="done-mark"><Icon node={Check} />{word("did", one.state === "aboard" ? "boarded" : one.state)}</p> : stop.arrived && (
        <div className="row-buttons">
          <Button className="button primary large" aria-label={t(on ? "ride.boardedWho" : "ride.alightedWho", { who: about })} onPress={() => act({ kind: on ? "boarded" : "alighted", request: one.request }, about)}><Icon node={Check} />{t(on ? "ride.boarded" : "ride.alighted")}</Button>
          {on && <FormDialog danger open={t("ride.noShow")} about={about} title={t("ride.noShowTitle", { who: about })} help={t("ride.noShowHelp")} submit={t("ride.noShow")} run={async () => act({ kind: "no-show", request: one.request }, about)} />}
        </div>
      )}
    </li>
  );
}

function Seats({ of }: { of: { seats: number; wheelchairs: number } }): JSX.Element {
  return (
    <span className="seats">
      <Icon node={Users} size={17} />{number(of.seats)}<span className="visually-hidden">{t("ride.seats")}</span>
      {of.wheelchairs > 0 && <><Icon node={Accessibility} size={17} />{number(of.wheelchairs)}<span className="visually-hidden">{t("ride.wheelchairsLabel")}</span></>}
    </span>
  );
}

/** The name of the next stop when another took its place, other than by the driver's having done with the one before. */
function useChanged(next: DriverStop | undefined): string {
  const [changed, setChanged] = useState("");
  const before = useRef<DriverStop | undefined>(undefined);
  useEffect(() => {
    const old = before.current;
    before.current = next;
    if (!old || !next) return;
    if (old.key === next.key) {
      if (next.arrived) setChanged("");
      return;
    }
    setChanged(old.arrived ? "" : told(next.stop.name));
  }, [next]);
  return changed;
}

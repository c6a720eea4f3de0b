import { ArrowUpDown, ChevronRight } from "lucide";
import { useState, type JSX } from "react";
import { Button, ToggleButton, ToggleButtonGroup } from "react-aria-components";
import { exact, instantOf, now } from "../format";
import { t } from "../i18n";
import { reason } from "../problems";
import { Icon } from "../ui/Icon";
import { Stepper } from "./parts";
import { PlaceField } from "./PlaceField";
import type { Place, ServiceInfo, Trip, When } from "./types";
import { metres, party, why } from "./words";

const DAY_MS = 86_400_000;
/** A later ride begins with what is likely: this long from now, on a full five minutes. */
const LEAD_MS = 30 * 60_000;
const STEP_MS = 5 * 60_000;
const WALKS = [100, 200, 300, 500, 800, 1200];

/** A ride as the rider asks for it. */
export interface Draft {
  from: Place | null;
  to: Place | null;
  mode: "now" | "depart_at" | "arrive_by";
  /** A day and a time of the city's zone: 2026-11-23 and 09:30. */
  day: string;
  time: string;
  seats: number;
  wheelchairs: number;
  walk_m: number;
}

export function newDraft(from: Place | null = null, to: Place | null = null): Draft {
  const [day = "", time = ""] = exact(Math.ceil((now() + LEAD_MS) / STEP_MS) * STEP_MS, false).split(" ");
  return { from, to, mode: "now", day, time, seats: 1, wheelchairs: 0, walk_m: 500 };
}

/** The draft of what was asked for before. */
export function draftOf(trip: Trip): Draft {
  const draft = { ...newDraft(trip.from, trip.to), seats: trip.seats, wheelchairs: trip.wheelchairs };
  if (trip.when === "now") return draft;
  const instant = "depart_at" in trip.when ? trip.when.depart_at : trip.when.arrive_by;
  const [day = "", time = ""] = exact(instant, false).split(" ");
  return { ...draft, mode: "depart_at" in trip.when ? "depart_at" : "arrive_by", day, time };
}

/** What the server is asked; undefined where a place or the time is wanting. */
export function body(draft: Draft, service: ServiceInfo): Record<string, unknown> | undefined {
  const { from, to, mode, day, time, seats, wheelchairs } = draft;
  if (!from || !to) return undefined;
  let when: When = "now";
  if (mode !== "now") {
    const instant = instantOf(`${day} ${time}`);
    if (!instant) return undefined;
    when = mode === "depart_at" ? { depart_at: instant } : { arrive_by: instant };
  }
  const place = ({ lon, lat, label }: Place): Place => ({ lon, lat, ...(label ? { label } : {}) });
  return { from: place(from), to: place(to), seats, wheelchairs, when, max_walk_m: Math.min(draft.walk_m, service.max_walk_m) };
}

/** Where from, where to, when, and with whom. */
export function Planner({ draft, service, recent, refused, change, pick, send }: {
  draft: Draft;
  service: ServiceInfo;
  recent: readonly Place[];
  refused: Trip | null;
  change: (to: Partial<Draft>) => void;
  pick: (end: "from" | "to") => void;
  send: () => Promise<void>;
}): JSX.Element {
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [open, setOpen] = useState(false);
  const today = exact(now()).slice(0, 10);
  const days = Array.from({ length: service.book_ahead_days + 1 }, (_, ahead) => exact(now() + ahead * DAY_MS).slice(0, 10));

  async function submit(): Promise<void> {
    if (!draft.from || !draft.to) {
      setProblem(t(draft.from ? "ride.needTo" : "ride.needFrom"));
      return;
    }
    if (!body(draft, service)) {
      setProblem(t("ride.needTime"));
      return;
    }
    setProblem("");
    setBusy(true);
    try {
      await send();
    } catch (error) {
      setProblem(reason(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <form className="planner" onSubmit={(event) => { event.preventDefault(); void submit(); }}>
      <h1>{t("ride.whereTo")}</h1>
      {refused && (
        <div role="alert" className="ride-note" data-tone="bad">
          <b>{t("ride.refused")}</b> <span>{why(refused.reason)}</span>
          <Helps codes={refused.reason?.try ?? []} draft={draft} most_m={service.max_walk_m} change={change} />
        </div>
      )}
      <div className="ends">
        <PlaceField end="from" label={t("ride.from")} place={draft.from} recent={recent} onChange={(from) => change({ from })} onMap={() => pick("from")} />
        <PlaceField end="to" label={t("ride.to")} place={draft.to} recent={recent} onChange={(to) => change({ to })} onMap={() => pick("to")} />
        <Button className="icon-button quiet swap" aria-label={t("ride.swap")} onPress={() => change({ from: draft.to, to: draft.from })}><Icon node={ArrowUpDown} size={16} /></Button>
      </div>
      <ToggleButtonGroup className="segments when" aria-label={t("ride.when")} selectionMode="single" disallowEmptySelection selectedKeys={[draft.mode]} onSelectionChange={(keys) => { const [mode] = keys; if (mode) change({ mode: mode as Draft["mode"] }); }}>
        {(["now", "depart_at", "arrive_by"] as const).map((mode) => <ToggleButton key={mode} id={mode} className="segment">{t(`ride.mode.${mode}`)}</ToggleButton>)}
      </ToggleButtonGroup>
      {draft.mode !== "now" && (
        <div className="day-time">
          <label className="field"><span>{t("ride.day")}</span>
            <select value={draft.day} onChange={(event) => change({ day: event.target.value })}>
              {days.map((day) => <option key={day} value={day}>{day === today ? t("ride.today") : day}</option>)}
            </select>
          </label>
          <label className="field"><span>{t("ride.time")}</span><input type="time" value={draft.time} step={300} onChange={(event) => change({ time: event.target.value })} /></label>
        </div>
      )}
      <Button className="party-line" aria-expanded={open} onPress={() => setOpen(!open)}>
        <span>{party(draft.seats, draft.wheelchairs)} · {t("ride.walkUpTo", { length: metres(Math.min(draft.walk_m, service.max_walk_m)) })}</span>
        <Icon node={ChevronRight} size={16} />
      </Button>
      {open && (
        <div className="party">
          <Stepper label={t("ride.seats")} value={draft.seats} least={draft.wheelchairs ? 0 : 1} most={service.max_seats} onChange={(seats) => change({ seats })} />
          <Stepper label={t("ride.wheelchairsLabel")} value={draft.wheelchairs} most={service.max_wheelchairs} onChange={(wheelchairs) => change({ wheelchairs, seats: Math.max(draft.seats, wheelchairs ? 0 : 1) })} />
          <label className="field inline"><span>{t("ride.walk")}</span>
            <select value={Math.min(draft.walk_m, service.max_walk_m)} onChange={(event) => change({ walk_m: Number(event.target.value) })}>
              {[...new Set([...WALKS.filter((walk) => walk < service.max_walk_m), service.max_walk_m])].map((walk) => <option key={walk} value={walk}>{metres(walk)}</option>)}
            </select>
          </label>
        </div>
      )}
      <p role="alert" className="problem">{problem}</p>
      <div className="thumb"><Button type="submit" className="button primary big" isDisabled={busy}>{t(busy ? "ride.asking" : "ride.ask")}</Button></div>
    </form>
  );
}

/** What may help after a refusal, each done by one button; what takes the rider's thought is in the reason already. */
function Helps({ codes, draft, most_m, change }: { codes: readonly string[]; draft: Draft; most_m: number; change: (to: Partial<Draft>) => void }): JSX.Element {
  function later(): void {
    const from = draft.mode === "now" ? now() : Date.parse(instantOf(`${draft.day} ${draft.time}`) ?? "") || now();
    const [day = "", time = ""] = exact(Math.ceil((from + LEAD_MS) / STEP_MS) * STEP_MS, false).split(" ");
    change({ mode: draft.mode === "arrive_by" ? "arrive_by" : "depart_at", day, time });
  }
  return (
    <p className="row-buttons">
      {codes.includes("later") && <Button className="button" onPress={later}>{t("ride.try.later")}</Button>}
      {codes.includes("longer-walk") && draft.walk_m < most_m && <Button className="button" onPress={() => change({ walk_m: most_m })}>{t("ride.try.walk", { length: metres(most_m) })}</Button>}
      {codes.includes("fewer-seats") && draft.seats > 1 && <Button className="button" onPress={() => change({ seats: draft.seats - 1 })}>{t("ride.try.seats")}</Button>}
    </p>
  );
}

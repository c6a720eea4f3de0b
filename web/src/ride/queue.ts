import { Problem } from "../api";
import { now } from "../format";
import { reason } from "../problems";
import { Observable } from "../state";
import { ask, keep, kept, uuid } from "./data";
import type { Action, Passenger, Plan, Reason, Settled } from "./types";

/** What the server takes at once. */
const BATCH = 100;
/** More than a shift holds; beyond, the newest are refused on the device rather than the oldest lost. */
const MOST = 2_000;
const MOST_WAIT_MS = 20_000;
/** A plan that is older says nothing any more: a shift is over by then. */
const STALE_MS = 16 * 3_600_000;

/** What a driver did and the server does not have yet, with whom or what it was about in words. */
export interface Pending {
  action: Action;
  about: string;
}

/** What the server did not take, and why. */
export interface Conflict extends Pending {
  reason: Reason;
}

export interface Kept {
  plan: Plan | null;
  /** When the plan came, in the server's milliseconds. */
  planAt: number;
  pending: Pending[];
  conflicts: Conflict[];
}

const NOTHING: Kept = { plan: null, planAt: 0, pending: [], conflicts: [] };

/**
 * The driver's plan and what was done about it, kept on the device so that both outlive a tunnel and a reload. Actions
 * are sent in order; the server knows them by their ids, so that one that is sent twice counts once.
 */
export class Queue {
  readonly kept: Observable<Kept>;
  readonly #key: string;
  #sending = false;
  #attempt = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(account: string) {
    this.#key = `hanmaru.ride.driver.${account}`;
    const before = kept<Kept>(this.#key, NOTHING);
    this.kept = new Observable<Kept>({ ...NOTHING, ...before, ...(now() - before.planAt > STALE_MS ? { plan: null } : {}) });
    this.kept.watch((value) => void keep(this.#key, value));
    addEventListener("online", this.send);
    addEventListener("storage", this.#elsewhere);
    void this.send();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    removeEventListener("online", this.send);
    removeEventListener("storage", this.#elsewhere);
  }

  /** Another tab of this device has done something. */
  readonly #elsewhere = (event: StorageEvent): void => {
    if (event.key === this.#key && event.newValue) this.kept.value = kept<Kept>(this.#key, this.kept.value);
  };

  #set(part: Partial<Kept>): void {
    this.kept.value = { ...this.kept.value, ...part };
  }

  /** Takes a plan from the server unless a newer one is there. */
  take(plan: Plan): void {
    const { plan: before, pending, conflicts } = this.kept.value;
    if (before && before.van.id === plan.van.id && plan.seq < before.seq) return;
    // What was done in another van says nothing about this one.
    const elsewhere = before && before.van.id !== plan.van.id ? pending.filter(({ action }) => action.kind !== "position") : [];
    const refused = elsewhere.map((one) => ({ ...one, reason: { code: "wrong-van" } }));
    this.#set({ plan, planAt: now(), ...(before && before.van.id !== plan.van.id ? { pending: [], conflicts: [...conflicts, ...refused].slice(-50) } : {}) });
  }

  /** Records what the driver did, now, and sends it when there is a way. Of positions only the last is worth keeping. */
  add(what: Omit<Action, "id" | "at">, about = ""): void {
    const { pending } = this.kept.value;
    const others = what.kind === "position" ? pending.filter(({ action }) => action.kind !== "position") : pending;
    if (others.length >= MOST) return;
    this.#set({ pending: [...others, { action: { id: uuid(), at: new Date(now()).toISOString(), ...what }, about }] });
    void this.send();
  }

  dismiss(id: string): void {
    this.#set({ conflicts: this.kept.value.conflicts.filter(({ action }) => action.id !== id) });
  }

  readonly send = async (): Promise<void> => {
    if (this.#sending || this.#closed || this.kept.value.pending.length === 0) return;
    this.#sending = true;
    clearTimeout(this.#retry);
    try {
      while (this.kept.value.pending.length > 0) {
        const batch = this.kept.value.pending.slice(0, BATCH);
        const settled = await this.#ask(batch);
        this.#attempt = 0;
        const refused = new Map(settled.refused.map(({ id, reason: because }) => [id, because]));
        const done = new Set([...settled.applied, ...settled.already, ...refused.keys()]);
        if (!batch.some(({ action }) => done.has(action.id))) throw new Error("none was settled");
        const conflicts = batch.filter(({ action }) => refused.has(action.id) && action.kind !== "position").map((one) => ({ ...one, reason: refused.get(one.action.id)! }));
        // The plan and the end of waiting go together: what was done never looks undone in between.
        this.#set({
          pending: this.kept.value.pending.filter(({ action }) => !done.has(action.id)),
          conflicts: [...this.kept.value.conflicts, ...conflicts].slice(-50),
          ...(settled.plan ? { plan: settled.plan, planAt: now() } : {}),
        });
      }
    } catch {
      this.#attempt += 1;
      if (!this.#closed) this.#retry = setTimeout(() => void this.send(), Math.min(MOST_WAIT_MS, 1000 * 2 ** Math.min(this.#attempt, 5)));
    } finally {
      this.#sending = false;
    }
  };

  async #ask(batch: Pending[]): Promise<Settled> {
    const van = this.kept.value.plan?.van.id;
    try {
      // Named, so that what waited here is refused where the driver has another van by now.
      return await ask<Settled>(`/driver/actions${van ? `?van=${encodeURIComponent(van)}` : ""}`, "POST", { actions: batch.map(({ action }) => action) });
    } catch (error) {
      // Sending again would be refused again, and what comes after would wait for ever.
      if (error instanceof Problem && [400, 403, 409, 413, 422].includes(error.status)) {
        const because: Reason = { code: "unknown", text: reason(error) };
        return { applied: [], already: [], refused: batch.map(({ action }) => ({ id: action.id, reason: because })), plan: this.kept.value.plan! };
      }
      throw error;
    }
  }
}

/** What a rider is in once a stop has nothing to do with them any more. */
const DONE = { pickup: new Set(["boarded", "aboard", "no-show", "done", "cancelled"]), dropoff: new Set(["alighted", "done", "no-show", "cancelled"]) } as const;

export const isDone = ({ kind, state }: Passenger): boolean => DONE[kind].has(state ?? "");

/** The plan as it is once what waits to be sent counts; stops where nothing is left to do are gone. */
export function present(plan: Plan, pending: readonly Pending[]): Plan {
  const states = new Map<string, string>();
  const arrived = new Set<string>();
  let status = plan.van.status;
  const [first] = plan.stops;
  // A van may stand at its stop before boarding can begin.
  if (first && (first.arrived || plan.van.stop?.id === first.stop.id)) arrived.add(first.key);
  for (const { action } of pending) {
    if (action.kind === "arrived") {
      const at = plan.stops.find(({ key, stop }) => stop.id === action.stop && !arrived.has(key));
      if (at) arrived.add(at.key);
      status = "at-stop";
    } else if ((action.kind === "boarded" || action.kind === "no-show" || action.kind === "alighted") && action.request) states.set(action.request, action.kind);
    else if (action.kind === "break-start") status = "break";
    else if (action.kind === "break-end" || action.kind === "back") status = "ready";
    else if (action.kind === "breakdown") status = "broken";
  }
  const stops = plan.stops.map((stop) => ({
    ...stop,
    arrived: arrived.has(stop.key),
    actions: stop.actions.flatMap((one) => {
      const did = states.get(one.request);
      if (one.kind === "pickup") return [did && did !== "alighted" ? { ...one, state: did } : one];
      return did === "no-show" ? [] : [did === "alighted" ? { ...one, state: did } : one];
    }),
  })).filter(({ arrived: there, actions }) => (actions.length ? !actions.every(isDone) : !there));
  if (stops[0]?.arrived && status === "ready") status = "at-stop";
  else if (status === "at-stop" && !stops[0]?.arrived) status = stops.length ? "driving" : "ready";
  const boarding = plan.stops.flatMap(({ actions }) => actions).filter((one) => one.kind === "pickup" && states.get(one.request) === "boarded" && !plan.aboard.some(({ request }) => request === one.request));
  const aboard = [...plan.aboard, ...boarding.map(({ request, alias, seats, wheelchairs }) => ({ request, alias, seats, wheelchairs }))].filter(({ request }) => states.get(request) !== "alighted");
  return { ...plan, van: { ...plan.van, status }, stops, aboard };
}

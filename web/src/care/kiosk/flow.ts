import { MEASURES, QUESTIONS } from "./measures";
import type { Card, Identified, Measurement, Outcome, Place, Posture, Sex, VisitBody } from "./types";

export type Screen =
  | { at: "attract" | "identify" | "sex" | "age" | "consent" | "posture" | "send" | "result" | "goodbye" }
  | { at: "question"; column: string }
  | { at: "measure"; id: string };

/** Everything of one person's visit. It is in memory only, and gone with the next person's. */
export interface Visit {
  id: string;
  startedAt: string;
  card: Card | null;
  identified: Identified | null;
  person: { sex: Sex; age_years: number } | null;
  consents: Record<string, boolean>;
  answers: Record<string, boolean>;
  taken: Record<string, Measurement[]>;
  posture: Posture | null;
  outcome: Outcome | "later" | null;
}

export interface State {
  visit: Visit;
  screens: readonly Screen[];
  index: number;
  /** Where to go on after something was measured again. */
  resume?: number;
}

/** A visit of which nothing is known yet. */
export function begin(id: string): State {
  const visit: Visit = { id, startedAt: "", card: null, identified: null, person: null, consents: {}, answers: {}, taken: {}, posture: null, outcome: null };
  return { visit, screens: [{ at: "attract" }, { at: "identify" }], index: 0 };
}

export const screenOf = ({ screens, index }: State): Screen => screens[index]!;

/** Whether the server knows, or will know, whose visit it is. */
export const known = ({ card }: Visit): boolean => card !== null;

/** Whether anything of the visit may be kept, here until there is a line or on the server. */
export const keeps = (visit: Visit): boolean => known(visit) && visit.consents.store === true;

/** The screens that are left once it is clear who measures. */
function course(visit: Visit, place: Place): Screen[] {
  const measures = place.measures.flatMap((id): Screen[] => (MEASURES.has(id) ? [{ at: "measure", id }] : id === "posture" ? [{ at: "posture" }] : []));
  return [
    { at: "attract" }, { at: "identify" },
    ...(known(visit) ? [{ at: "consent" } as const] : [{ at: "sex" } as const, { at: "age" } as const]),
    ...QUESTIONS.map((column): Screen => ({ at: "question", column })),
    ...measures, { at: "send" }, { at: "result" }, { at: "goodbye" },
  ];
}

/** After the screen of identifying: by a card or pass, with what the server said of it if it could be asked, or as nobody. */
export function identified(state: State, place: Place, card: Card | null, who: Identified | null, at: string): State {
  // A visit begins when somebody is known: what they showed is good for a short time only.
  const visit: Visit = { ...state.visit, startedAt: at, card, identified: who, consents: { ...who?.consents } };
  return { visit, screens: course(visit, place), index: 2 };
}

export const change = (state: State, part: Partial<Visit>): State => ({ ...state, visit: { ...state.visit, ...part } });
export const next = ({ resume, ...state }: State): State => ({ ...state, index: resume ?? Math.min(state.index + 1, state.screens.length - 1) });
export const back = (state: State): State => ({ ...state, index: Math.max(state.index - 1, 0) });

/** To where a column comes from, to be measured or answered again, and then back to here. */
export function again(state: State, column: string): State {
  const of = (screen: Screen): boolean => (screen.at === "measure" && MEASURES.get(screen.id)!.fields.some((field) => field.column === column))
    || (screen.at === "question" && screen.column === column) || (screen.at === "posture" && column.endsWith("_deg"));
  const index = state.screens.findIndex(of);
  return index < 0 ? state : { ...state, index, resume: state.index };
}

/** The visit as the server takes it. Without leave to keep it nobody's name goes with it. */
export function body(visit: Visit, kiosk: string): VisitBody {
  const { id, startedAt, card, identified: who, person, consents, answers, taken, posture } = visit;
  return {
    id, at: startedAt, kiosk, consents, answers, posture,
    measurements: Object.values(taken).flat(),
    ...(who ? { visit_key: who.visit_key } : (card ?? {})),
    ...(person ? { person } : {}),
  };
}

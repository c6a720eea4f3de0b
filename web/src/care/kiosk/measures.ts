import { BLOOD_PRESSURE, BODY_COMPOSITION, WEIGHT } from "../gatt";
import type { Limits, Measurement } from "./types";

/** One number of a measure: its column, its unit, and how finely it is read. */
export interface Field {
  column: string;
  unit: string;
  decimals: number;
  signed?: boolean;
}

/** Something that is measured in one go, at one device or with one drawing of what to do. */
export interface Measure {
  id: string;
  fields: readonly Field[];
  /** The characteristic of a device that sends it; without one it is typed in. */
  characteristic?: number;
  repeats?: number;
  /** Fields that need not be filled in. */
  optional?: readonly string[];
}

const field = (column: string, unit: string, decimals = 1): Field => ({ column, unit, decimals });

const ALL: readonly Measure[] = [
  { id: "height-weight", fields: [field("height_cm", "cm"), field("weight_kg", "kg")], characteristic: WEIGHT },
  { id: "blood-pressure", fields: [field("sbp_mmhg", "mmHg", 0), field("dbp_mmhg", "mmHg", 0), field("pulse_bpm", "/min", 0)], characteristic: BLOOD_PRESSURE, repeats: 2, optional: ["pulse_bpm"] },
  { id: "body-composition", fields: [field("body_fat_pct", "%"), field("skeletal_muscle_kg", "kg"), field("water_kg", "kg")], characteristic: BODY_COMPOSITION, optional: ["skeletal_muscle_kg", "water_kg"] },
  { id: "waist", fields: [field("waist_cm", "cm")] },
  { id: "grip", fields: [field("grip_right_kg", "kg"), field("grip_left_kg", "kg")] },
  { id: "sit-and-reach", fields: [{ ...field("sit_and_reach_cm", "cm"), signed: true }] },
  { id: "chair-stand", fields: [field("chair_stand_reps", "회", 0)] },
  { id: "tug", fields: [field("tug3m_s", "s")] },
  { id: "walk", fields: [field("gait_speed_m_s", "m/s", 2)] },
];
export const MEASURES: ReadonlyMap<string, Measure> = new Map(ALL.map((measure) => [measure.id, measure]));

/** Yes-or-no questions that the rules need, by column. */
export const QUESTIONS = ["smoker", "bp_treated", "diabetes", "family_diabetes"] as const;

/** Two heights of a grown person that are further apart are of two persons, or one is wrong. */
const HEIGHT_APART_CM = 5;

export type Doubt = "impossible" | "unlikely" | "changed";

/** What is odd about a value; undefined when nothing is. `lastHeight` is what was measured of the same person before. */
export function doubt(column: string, value: number, limits: Limits | undefined, lastHeight?: number | null): Doubt | undefined {
  if (!Number.isFinite(value)) return "impossible";
  if (limits) {
    if (value < limits.impossible_low || value > limits.impossible_high) return "impossible";
    if (value < limits.low || value > limits.high) return "unlikely";
  }
  if (column === "height_cm" && lastHeight && Math.abs(value - lastHeight) > HEIGHT_APART_CM) return "changed";
  return undefined;
}

/** The mean of a column's readings; undefined without any. */
export function mean(measurements: readonly Measurement[], column: string): number | undefined {
  const values = measurements.filter((one) => one.column === column).map(({ value }) => value);
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : undefined;
}

/** From this on either pressure needs a doctor today, whatever the rest is: the server's `bp.urgent` says so, too, but a line may be missing. */
const URGENT = { sbp_mmhg: 180, dbp_mmhg: 110 } as const;

/** Whether the means of what was measured need somebody now. */
export function urgent(measurements: readonly Measurement[]): boolean {
  return Object.entries(URGENT).some(([column, from]) => (mean(measurements, column) ?? 0) >= from);
}

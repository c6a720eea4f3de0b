/**
 * Angles of posture from the joints that MediaPipe Pose finds in a photograph: for screening only. Nothing here knows of
 * a camera; points are in pixels, x to the right and y down, from a picture that is not mirrored.
 */

export interface Point {
  x: number;
  y: number;
  /** How sure the detector is that it sees the joint, 0–1. */
  visibility: number;
}
export type View = "front" | "side";
export interface Angles {
  angles: Record<string, number>;
  /** Why an angle, or all of them, cannot be told. */
  problems: ("nobody" | "cut-off" | "turn-front" | "turn-side" | "unsure")[];
}

/** Below this a joint counts as not seen. MediaPipe's own examples draw from 0.65 on. */
const SURE = 0.65;
/** Shoulders that are wider than this share of the trunk are seen from the front; narrower than the other from the side. */
const FRONT_FROM = 0.4;
const SIDE_TO = 0.3;
/**
 * Where the seventh neck vertebra lies from the shoulder joint, as shares of the line from the shoulder to the hip joint:
 * the detector does not find it. Upwards: cervicale at 0.863 of the stature (ANSUR II, men's means, about), shoulder and
 * hip joint at 0.818 and 0.530 (Drillis and Contini 1966). Backwards: so that an ear right above the shoulder, which
 * Kendall's plumb line asks for, reads 52°, about the mean of healthy adults standing (tragion at 0.925 of the stature).
 */
const NECK_UP = (0.863 - 0.818) / (0.818 - 0.53);
const NECK_BACK = (0.925 - 0.863) / (0.818 - 0.53) / Math.tan((52 * Math.PI) / 180);

const NOSE = 0;
const EYES = [2, 5] as const;
const EARS = [7, 8] as const;
const SHOULDERS = [11, 12] as const;
const HIPS = [23, 24] as const;
const KNEES = [25, 26] as const;
const ANKLES = [27, 28] as const;

const degrees = (radians: number): number => (radians * 180) / Math.PI;
const middle = (a: Point, b: Point): Point => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, visibility: Math.min(a.visibility, b.visibility) });
const apart = (a: Point, b: Point): number => Math.hypot(a.x - b.x, a.y - b.y);
const rounded = (angle: number): number => Math.round(angle * 10) / 10;

/** Of the line from the right joint to the left one against the horizontal: positive where the left is lower, -90 to 90. */
const tilt = (left: Point, right: Point): number => degrees(Math.atan2(left.y - right.y, left.x - right.x));

/** The angles of a view, in degrees, rounded to a tenth; an angle whose joints are not surely seen is left out. */
export function posture(view: View, points: readonly Point[] | null, width: number, height: number): Angles {
  if (!points || points.length < 33) return { angles: {}, problems: ["nobody"] };
  const at = (index: number): Point => points[index]!;
  const seen = (...indices: readonly number[]): boolean => indices.every((index) => at(index).visibility >= SURE);
  const inside = (index: number): boolean => at(index).x >= 0 && at(index).x <= width && at(index).y >= 0 && at(index).y <= height;
  if (![NOSE, ...SHOULDERS, ...HIPS].every(inside)) return { angles: {}, problems: ["cut-off"] };
  const shoulders = middle(at(SHOULDERS[0]), at(SHOULDERS[1]));
  const hips = middle(at(HIPS[0]), at(HIPS[1]));
  const breadth = apart(at(SHOULDERS[0]), at(SHOULDERS[1])) / Math.max(1, apart(shoulders, hips));
  const angles: Record<string, number> = {};
  const problems: Angles["problems"] = [];
  if (view === "front") {
    // From behind, left is on the left.
    if (breadth < FRONT_FROM || at(SHOULDERS[0]).x < at(SHOULDERS[1]).x) return { angles, problems: ["turn-front"] };
    const pair = seen(...EARS) ? EARS : EYES;
    if (seen(...pair)) angles.head_tilt_deg = rounded(tilt(at(pair[0]), at(pair[1])));
    if (seen(...SHOULDERS)) angles.shoulder_tilt_deg = rounded(tilt(at(SHOULDERS[0]), at(SHOULDERS[1])));
    if (seen(...HIPS)) angles.pelvis_tilt_deg = rounded(tilt(at(HIPS[0]), at(HIPS[1])));
    if (seen(...SHOULDERS, ...HIPS)) angles.trunk_shift_deg = rounded(degrees(Math.atan2(shoulders.x - hips.x, hips.y - shoulders.y)));
    if (Object.keys(angles).length < 4) problems.push("unsure");
    return { angles, problems };
  }
  if (breadth > SIDE_TO) return { angles, problems: ["turn-side"] };
  const side = at(EARS[0]).visibility >= at(EARS[1]).visibility ? 0 : 1;
  const [ear, shoulder, hip, knee, ankle] = [EARS, SHOULDERS, HIPS, KNEES, ANKLES].map((pair) => at(pair[side])) as [Point, Point, Point, Point, Point];
  const forward = at(NOSE).x >= ear.x ? 1 : -1;
  if (seen(EARS[side], SHOULDERS[side], HIPS[side])) {
    const trunk = apart(shoulder, hip);
    const neck = { x: shoulder.x - forward * NECK_BACK * trunk, y: shoulder.y - NECK_UP * trunk };
    angles.cva_deg = rounded(degrees(Math.atan2(neck.y - ear.y, forward * (ear.x - neck.x))));
  } else problems.push("unsure");
  if (seen(HIPS[side], KNEES[side], ANKLES[side]) && inside(ANKLES[side])) {
    // Turned so that the person looks to the right: a knee behind the line from hip to ankle is bent backwards.
    const thigh = Math.atan2(hip.y - knee.y, forward * (hip.x - knee.x));
    const shank = Math.atan2(ankle.y - knee.y, forward * (ankle.x - knee.x));
    const bend = degrees(thigh - shank);
    angles.knee_deg = rounded(bend < 0 ? bend + 360 : bend);
  } else problems.push("unsure");
  return { angles, problems: [...new Set(problems)] };
}

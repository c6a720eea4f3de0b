import { t } from "../../i18n";
import { firstLeaf, type Condition, type Kind, type Leaf, type Rule, type Vocabulary, type WordAttr } from "./types";

export const attrOf = (words: Vocabulary, type: string, attr: string | undefined): WordAttr | undefined => words.types.find((one) => one.type === type)?.attrs.find(({ name }) => name === attr);

/** A threshold of the first number of a type, to begin with. */
export function fresh(words: Vocabulary, type?: string): Leaf {
  const of = words.types.find((one) => one.type === type) ?? words.types.find(({ attrs }) => attrs.some(({ kind }) => kind === "number")) ?? words.types[0];
  const attr = of?.attrs.find(({ kind }) => kind === "number") ?? of?.attrs[0];
  return { kind: "threshold", type: of?.type ?? "", attr: attr?.name ?? "", op: attr?.kind === "number" || !attr ? ">" : "==", value: attr?.kind === "flag" ? true : attr?.kind === "text" ? "" : NaN };
}

/** The attributes that a kind of condition can look at. */
export function fitting(words: Vocabulary, type: string, kind: Kind): WordAttr[] {
  const attrs = words.types.find((one) => one.type === type)?.attrs ?? [];
  if (kind === "rate" || kind === "window" || kind === "anomaly") return attrs.filter((attr) => attr.kind === "number");
  return kind === "threshold" || kind === "change" ? attrs.filter((attr) => attr.kind === "number" || attr.kind === "text" || attr.kind === "flag") : attrs;
}

/** A condition as one of another kind, keeping what both have. */
export function turned(words: Vocabulary, from: Condition, kind: Kind): Condition {
  const leaf = firstLeaf(from) ?? fresh(words);
  const inner = from.kind === "all" || from.kind === "any" || from.kind === "not" ? from.of : from.kind === "sequence" ? from.steps : from.kind === "join" ? [from.left, from.right] : [from];
  const second = inner[1] ?? fresh(words, leaf.type);
  if (kind === "all" || kind === "any") return { kind, of: inner };
  if (kind === "not") return { kind, of: inner.slice(0, 1) };
  if (kind === "sequence") return { kind, steps: inner.length > 1 ? inner : [leaf, second], within_s: 600, same: "entity" };
  if (kind === "join") return { kind, left: inner[0] ?? leaf, right: second, within_s: 600, radius_m: 500 };
  const { type } = leaf;
  const open = fitting(words, type, kind);
  const had = "attr" in leaf ? leaf.attr : undefined;
  const attr = open.some(({ name }) => name === had) ? had! : (open.find((one) => one.kind === "number") ?? open[0])?.name ?? "";
  const value = "value" in leaf && typeof leaf.value === "number" && attr === had ? leaf.value : NaN;
  switch (kind) {
    case "absence": return { kind, type, for_s: 600 };
    case "change": return { kind, type, attr };
    case "rate": return { kind, type, attr, per_s: 600, op: ">", value };
    case "window": return { kind, type, attr, agg: "mean", over_s: 600, op: ">", value };
    case "geofence": return { kind, type, polygon: { type: "Polygon", coordinates: [[]] }, on: "enter" };
    case "anomaly": return { kind, type, attr, sensitivity: "medium" };
    default: return { ...fresh(words, type), attr, value: attrOf(words, type, attr)?.kind === "number" ? value : "" } as Leaf;
  }
}

export interface Wrong {
  path: string;
  message: string;
}

/** What the viewer has still to give, before the server is asked. */
export function wanting(rule: Rule): Wrong[] {
  const found: Wrong[] = [];
  const say = (path: string, key: string): void => void found.push({ path, message: t(`centre.rules.wrong.${key}`) });
  const number = (path: string, value: unknown): void => {
    if (typeof value === "number" && !Number.isFinite(value)) say(path, "number");
  };
  const area = (path: string, rings: unknown[][][] | undefined): void => {
    if ((rings?.[0]?.length ?? 0) < 4) say(path, "polygon");
  };
  const visit = (path: string, at: Condition): void => {
    switch (at.kind) {
      case "all": case "any": case "not":
        if (at.of.length === 0) say(path, "empty");
        return at.of.forEach((one, i) => visit(`${path}.of[${i}]`, one));
      case "sequence":
        number(`${path}.within_s`, at.within_s);
        number(`${path}.radius_m`, at.radius_m);
        return at.steps.forEach((one, i) => visit(`${path}.steps[${i}]`, one));
      case "join":
        visit(`${path}.left`, at.left);
        visit(`${path}.right`, at.right);
        number(`${path}.within_s`, at.within_s);
        return number(`${path}.radius_m`, at.radius_m);
      default:
        if (!at.type) say(`${path}.type`, "type");
        if (at.kind !== "absence" && at.kind !== "geofence" && !at.attr) say(`${path}.attr`, "attr");
        if (at.kind === "geofence") area(`${path}.polygon`, at.polygon.coordinates);
        for (const name of ["value", "hysteresis", "for_s", "per_s", "over_s", "dwell_s"] as const) if (name in at) number(`${path}.${name}`, at[name as keyof typeof at]);
        if (at.kind === "threshold" && at.value === "") say(`${path}.value`, "text");
    }
  };
  if (!Object.values(rule.name).some((one) => one.trim())) say("name", "name");
  visit("when", rule.when);
  if (rule.where?.polygon) area("where.polygon", rule.where.polygon.coordinates);
  if (rule.where?.near) {
    rule.where.near.forEach((one) => number("where.near", one));
    number("where.radius_m", rule.where.radius_m);
  }
  number("for_s", rule.for_s);
  number("clear_s", rule.clear_s);
  number("flap.most", rule.flap?.most);
  number("flap.in_s", rule.flap?.in_s);
  return found;
}

/** An identifier made of a name. */
export function slug(name: string): string {
  return name.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 64);
}

/** What the server gets: texts without blanks, and a name in English, too, where there is only another. */
export function sent(rule: Rule): Rule {
  const texts = (value: Readonly<Record<string, string>> | undefined): Record<string, string> => Object.fromEntries(Object.entries(value ?? {}).map(([tag, one]) => [tag, one.trim()]).filter(([, one]) => one));
  const name = texts(rule.name);
  const title = texts(rule.title);
  const any = (from: Record<string, string>): string => from.en ?? Object.values(from)[0] ?? "";
  return { ...rule, name: { ...name, en: any(name) }, title: Object.keys(title).length ? { ...title, en: any(title) } : {} };
}

const LINE = /^((?:name|title|when|where|group|flap|for_s|clear_s|category|severity|procedure|id|rule)[\w.[\]]*): (.*)$/s;

/** Where the server found something wrong, by its line's beginning. */
export function located(detail: string): Wrong | undefined {
  const [, path, message] = LINE.exec(detail) ?? [];
  return path !== undefined && message !== undefined ? { path, message: said(message) } : undefined;
}

/** The server's lines by how they begin, for which there are words in every language. */
const LINES: [RegExp, string][] = [
  [/^0 to |^1 to \d+ seconds/, "span"],
  [/^combines conditions about/, "mixed"],
  [/^this condition holds for an instant/, "momentary"],
  [/^the same as from/, "same"],
  [/^above 0 and at most .* metres/, "radius"],
  [/^at most \d+ positions/, "vertices"],
  [/^at most \d+ conditions/, "many"],
  [/^at most 200 characters/, "long"],
  [/^at least two, in their order/, "steps"],
  [/^at least one condition|^exactly one condition/, "empty"],
  [/^cannot contain a join/, "nested"],
  [/^has to be about one entity type/, "oneType"],
  [/^steps about different types/, "sameArea"],
  [/^a finite number|^Expected `float`/, "number"],
  [/^each ring has|^a list of rings/, "polygon"],
  [/^only with >/, "hysteresis"],
  [/^give the rule a name/, "name"],
  [/^1 to 64 letters/, "id"],
  [/^1 to 100 raises/, "most"],
  [/^longitude and latitude/, "lonLat"],
];
function said(message: string): string {
  const key = LINES.find(([pattern]) => pattern.test(message))?.[1];
  return key ? t(`centre.rules.wrong.${key}`) : message;
}

import { attrLabel, number } from "../../format";
import { t, text } from "../../i18n";
import { attrOf } from "./edit";
import type { Condition, Leaf, Rule, Scalar, Vocabulary, WordAttr } from "./types";

const UNITS = [["days", 86_400], ["hours", 3600], ["minutes", 60], ["seconds", 1]] as const;
export type SpanUnit = (typeof UNITS)[number][0];
export const SECONDS: Record<SpanUnit, number> = { seconds: 1, minutes: 60, hours: 3600, days: 86_400 };

/** The largest unit that a span is a whole number of. */
export function unitOf(seconds: number): SpanUnit {
  return UNITS.find(([, one]) => seconds >= one && seconds % one === 0)?.[0] ?? (seconds === 0 ? "minutes" : "seconds");
}

export function span(seconds: number): string {
  if (!Number.isFinite(seconds)) return "…";
  const unit = unitOf(seconds);
  return t(`centre.rules.span.${unit}`, { n: number(seconds / SECONDS[unit]) });
}

export const typeName = (words: Vocabulary, type: string): string => text(words.types.find((one) => one.type === type)?.title, type) || "…";
export const labelOf = (words: Vocabulary, type: string, attr: string): string => {
  const found = attrOf(words, type, attr);
  return found && Object.keys(found.label).length ? text(found.label, attr) : attr ? attrLabel(attr) : "…";
};

/** A value of the hub's in the shown unit. */
export function shownValue(value: unknown, attr: WordAttr | undefined): string {
  if (typeof value === "number") return Number.isFinite(value) ? `${number(value * (attr?.scale ?? 1))}${attr?.unit ? ` ${attr.unit}` : ""}` : "…";
  if (typeof value === "boolean") return t(value ? "value.yes" : "value.no");
  return value === "" || value === undefined ? "…" : typeof value === "string" ? t("centre.rules.quoted", { text: value }) : String(value);
}

function leaf(at: Leaf, words: Vocabulary): string {
  const type = typeName(words, at.type);
  const attr = "attr" in at && at.attr ? labelOf(words, at.type, at.attr) : "";
  const known = "attr" in at ? attrOf(words, at.type, at.attr) : undefined;
  const value = (one: Scalar | undefined): string => shownValue(one, known);
  const op = "op" in at ? t(`centre.rules.op.${at.op}`, { value: value(at.kind === "window" && at.agg === "count" ? undefined : at.value) }) : "";
  switch (at.kind) {
    case "threshold": return t("centre.rules.say.threshold", { type, attr, op });
    case "absence": return attr ? t("centre.rules.say.absenceAttr", { type, attr, span: span(at.for_s) }) : t("centre.rules.say.absence", { type, span: span(at.for_s) });
    case "change": {
      if (at.to === undefined && at.from === undefined) return t("centre.rules.say.change", { type, attr });
      if (at.from === undefined) return t("centre.rules.say.changeTo", { type, attr, to: value(at.to) });
      return at.to === undefined ? t("centre.rules.say.changeFrom", { type, attr, from: value(at.from) }) : t("centre.rules.say.changeFromTo", { type, attr, from: value(at.from), to: value(at.to) });
    }
    case "rate": return t("centre.rules.say.rate", { type, attr, op, span: span(at.per_s) });
    case "window": return t("centre.rules.say.window", { type, attr, agg: t(`centre.rules.agg.${at.agg}`), span: span(at.over_s), op: at.agg === "count" ? t(`centre.rules.op.${at.op}`, { value: number(at.value) }) : op });
    case "geofence": return at.on === "dwell" ? t("centre.rules.say.dwell", { type, span: span(at.dwell_s ?? 0) }) : t(`centre.rules.say.${at.on}`, { type });
    case "anomaly": return t("centre.rules.say.anomaly", { type, attr });
  }
}

/** A condition in words; what it is made of in brackets where that could be misread. */
export function sentence(at: Condition, words: Vocabulary, within = false): string {
  const put = (whole: string, several: boolean): string => (within && several ? `(${whole})` : whole);
  switch (at.kind) {
    case "all": return put(at.of.map((one) => sentence(one, words, true)).join(t("centre.rules.and")) || "…", at.of.length > 1);
    case "any": return put(at.of.map((one) => sentence(one, words, true)).join(t("centre.rules.or")) || "…", at.of.length > 1);
    case "not": return t("centre.rules.say.not", { what: at.of[0] ? sentence(at.of[0], words, false) : "…" });
    case "sequence": return put(t(at.same === "area" ? "centre.rules.say.sequenceArea" : "centre.rules.say.sequence", { steps: at.steps.map((one) => sentence(one, words, true)).join(t("centre.rules.then")), span: span(at.within_s), metres: number(at.radius_m ?? 0) }), true);
    case "join": return put(t(at.within_s ? "centre.rules.say.join" : "centre.rules.say.joinNow", { left: sentence(at.left, words, true), right: sentence(at.right, words, true), metres: number(at.radius_m), span: span(at.within_s ?? 0) }), true);
    default: return leaf(at, words);
  }
}

export function severityName({ severity = "medium" }: Pick<Rule, "severity">): string {
  return t(`centre.rules.severity.${severity}`);
}

/** A rule in some plain sentences. */
export function summary(rule: Rule, words: Vocabulary): string[] {
  const lines = [t("centre.rules.say.when", { what: sentence(rule.when, words) })];
  if (rule.where?.polygon) lines.push(t("centre.rules.say.inArea"));
  if (rule.where?.near) lines.push(t("centre.rules.say.near", { metres: number(rule.where.radius_m ?? 0), place: rule.where.near.map((one) => one.toFixed(4)).reverse().join(", ") }));
  if (rule.for_s) lines.push(t("centre.rules.say.for", { span: span(rule.for_s) }));
  const severity = severityName(rule);
  lines.push(t(rule.group === "rule" ? "centre.rules.say.raiseOne" : "centre.rules.say.raiseEach", { severity }));
  if (rule.clear_s) lines.push(t("centre.rules.say.clear", { span: span(rule.clear_s) }));
  if (rule.flap) lines.push(t("centre.rules.say.flap", { most: rule.flap.most ?? 3, span: span(rule.flap.in_s ?? 3600) }));
  return lines;
}

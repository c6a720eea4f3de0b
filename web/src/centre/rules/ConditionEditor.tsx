import { Plus, Trash2 } from "lucide";
import type { JSX } from "react";
import { Button } from "react-aria-components";
import { t, text } from "../../i18n";
import { Icon } from "../../ui/Icon";
import { AreaField } from "./AreaField";
import { attrOf, fitting, fresh, turned } from "./edit";
import { NumberInput, SelectInput, SpanInput, TextInput, Wrongly } from "./fields";
import { AGGS, KINDS, OPS, SENSITIVITIES, type Condition, type Kind, type Leaf, type Op, type Scalar, type Vocabulary, type WordAttr } from "./types";
import { labelOf, sentence } from "./words";

/** As deep as one can write; deeper ones are shown and kept. */
const DEEPEST = 4;

interface Editing<T extends Condition> {
  at: T;
  path: string;
  words: Vocabulary;
  onChange: (condition: Condition) => void;
  /** How many conditions this one is within. */
  depth?: number;
}

/** One condition with all that is within it: chosen by fields, read as a sentence. */
export function ConditionEditor({ at, path, words, onChange, depth = 0, label, remove, relating = true }: Editing<Condition> & { label: string; remove?: (() => void) | undefined; relating?: boolean }): JSX.Element {
  const kinds = KINDS.filter((kind) => kind === at.kind || ((depth < DEEPEST || !["all", "any", "not"].includes(kind)) && (relating || (kind !== "join" && kind !== "sequence"))));
  const said = sentence(at, words);
  return (
    <fieldset className="condition" data-depth={depth} data-kind={at.kind} aria-label={`${label}: ${said}`}>
      <div className="condition-head">
        <SelectInput<Kind> path={`${path}.kind`} label={label} value={at.kind} className="kind" options={kinds.map((kind) => [kind, t(`centre.rules.kind.${kind}`)])} onChange={(kind) => onChange(turned(words, at, kind))} />
        {remove && <Button className="icon-button" aria-label={t("centre.rules.remove", { what: `${label}: ${said}` })} onPress={remove}><Icon node={Trash2} /></Button>}
      </div>
      <Wrongly path={path} />
      <Parts at={at} path={path} words={words} onChange={onChange} depth={depth} />
      <p className="said">{said}</p>
    </fieldset>
  );
}

function Parts({ at, path, words, onChange, depth = 0 }: Editing<Condition>): JSX.Element {
  switch (at.kind) {
    case "all": case "any":
      return <Several items={at.of} path={`${path}.of`} words={words} depth={depth} name={(n) => t("centre.rules.condition", { n })} onChange={(of) => onChange({ ...at, of })} add={t("centre.rules.add")} least={1} />;
    case "not":
      return <ConditionEditor at={at.of[0] ?? fresh(words)} path={`${path}.of[0]`} words={words} depth={depth + 1} label={t("centre.rules.notThis")} onChange={(one) => onChange({ ...at, of: [one] })} />;
    case "sequence":
      return (
        <>
          <Several items={at.steps} path={`${path}.steps`} words={words} depth={depth} relating={false} name={(n) => t("centre.rules.step", { n })} onChange={(steps) => onChange({ ...at, steps })} add={t("centre.rules.addStep")} least={2} />
          <div className="leaf">
            <SpanInput path={`${path}.within_s`} label={t("centre.rules.within")} value={at.within_s} onChange={(within_s) => onChange({ ...at, within_s })} />
            <SelectInput<"entity" | "area"> path={`${path}.same`} label={t("centre.rules.same")} value={at.same ?? "entity"} options={[["entity", t("centre.rules.sameEntity")], ["area", t("centre.rules.sameArea")]]} onChange={(same) => onChange({ ...at, same, radius_m: same === "area" ? at.radius_m || 500 : 0 })} />
            {at.same === "area" && <NumberInput path={`${path}.radius_m`} label={t("centre.rules.radius")} unit="m" min={1} value={at.radius_m ?? 0} onChange={(radius_m) => onChange({ ...at, radius_m })} />}
          </div>
        </>
      );
    case "join":
      return (
        <>
          <ConditionEditor at={at.left} path={`${path}.left`} words={words} depth={depth + 1} relating={false} label={t("centre.rules.left")} onChange={(left) => onChange({ ...at, left })} />
          <ConditionEditor at={at.right} path={`${path}.right`} words={words} depth={depth + 1} relating={false} label={t("centre.rules.right")} onChange={(right) => onChange({ ...at, right })} />
          <div className="leaf">
            <NumberInput path={`${path}.radius_m`} label={t("centre.rules.radius")} unit="m" min={1} value={at.radius_m} onChange={(radius_m) => onChange({ ...at, radius_m })} />
            <SpanInput path={`${path}.within_s`} label={t("centre.rules.within")} value={at.within_s ?? 0} onChange={(within_s) => onChange({ ...at, within_s })} />
          </div>
        </>
      );
    default:
      return <LeafFields at={at} path={path} words={words} onChange={onChange} />;
  }
}

function Several({ items, path, words, onChange, depth = 0, name, add, least, relating = true }: { items: Condition[]; path: string; words: Vocabulary; depth?: number; onChange: (items: Condition[]) => void; name: (n: number) => string; add: string; least: number; relating?: boolean }): JSX.Element {
  return (
    <div className="several">
      {items.map((one, index) => (
        <ConditionEditor
          key={index} at={one} path={`${path}[${index}]`} words={words} depth={depth + 1} relating={relating} label={name(index + 1)}
          onChange={(next) => onChange(items.map((was, i) => (i === index ? next : was)))}
          remove={items.length > least ? () => onChange(items.filter((_, i) => i !== index)) : undefined}
        />
      ))}
      <Wrongly path={path} />
      <Button className="button small" onPress={() => onChange([...items, fresh(words, "type" in (items.at(-1) ?? {}) ? (items.at(-1) as Leaf).type : undefined)])}><Icon node={Plus} size={15} />{add}</Button>
    </div>
  );
}

/** A value of an attribute, in its unit, as yes or no, or as a text. */
function ValueInput({ path, label, attr, value, onChange, optional = false }: { path: string; label: string; attr: WordAttr | undefined; value: Scalar | undefined; onChange: (value: Scalar | undefined) => void; optional?: boolean }): JSX.Element {
  if (attr?.kind === "flag") {
    const options: [string, string][] = [["true", t("value.yes")], ["false", t("value.no")]];
    return <SelectInput path={path} label={label} value={value === undefined ? "" : String(value)} options={optional ? [["", t("centre.rules.any")], ...options] : options} onChange={(one) => onChange(one === "" ? undefined : one === "true")} />;
  }
  if (attr?.kind === "number" || typeof value === "number") {
    return <NumberInput path={path} label={optional ? t("centre.rules.optional", { label }) : label} unit={attr?.unit ?? ""} scale={attr?.scale ?? 1} value={typeof value === "number" ? value : NaN} onChange={(one) => onChange(optional && Number.isNaN(one) ? undefined : one)} />;
  }
  return <TextInput path={path} label={label} optional={optional} value={typeof value === "string" ? value : ""} onChange={(one) => onChange(optional && !one ? undefined : one)} />;
}

function LeafFields({ at, path, words, onChange }: Editing<Leaf>): JSX.Element {
  const set = (changes: object): void => {
    const next = { ...at, ...changes } as unknown as Record<string, unknown>;
    for (const name of Object.keys(next)) if (next[name] === undefined) delete next[name];
    onChange(next as unknown as Leaf);
  };
  const had = "attr" in at ? at.attr : undefined;
  const attr = attrOf(words, at.type, had);
  const open = fitting(words, at.type, at.kind);
  const plain = attr && attr.kind !== "number";
  const ops = OPS.filter((op) => at.kind !== "threshold" || !plain || op === "==" || op === "!=");
  const newAttr = (name: string): void => {
    const next = attrOf(words, at.type, name);
    const blank = next?.kind === "number" ? NaN : next?.kind === "flag" ? true : "";
    if (at.kind === "threshold") set({ attr: name, op: next?.kind === "number" ? at.op : "==", value: next?.kind === attr?.kind ? at.value : blank, hysteresis: undefined });
    else if (at.kind === "change") set({ attr: name, from: undefined, to: undefined });
    else set({ attr: name || undefined });
  };
  const newType = (type: string): void => onChange(turned(words, { ...at, type } as Leaf, at.kind));
  const opField = (op: Op): JSX.Element => <SelectInput<Op> path={`${path}.op`} label={t("centre.rules.compare")} value={op} options={ops.map((one) => [one, t(`centre.rules.opName.${one}`)])} onChange={(next) => set({ op: next, ...(next === "==" || next === "!=" ? { hysteresis: undefined } : {}) })} />;
  const counts = at.kind === "window" && at.agg === "count";
  const rising = at.kind === "threshold" && at.op !== "==" && at.op !== "!=" && !plain;
  return (
    <div className="leaf">
      <SelectInput path={`${path}.type`} label={t("centre.rules.type")} value={at.type} options={words.types.map((one) => [one.type, text(one.title, one.type)])} onChange={newType} />
      {at.kind === "absence" && <SelectInput path={`${path}.attr`} label={t("centre.rules.attr")} value={at.attr ?? ""} options={[["", t("centre.rules.anything")], ...open.map(({ name }): [string, string] => [name, labelOf(words, at.type, name)])]} onChange={newAttr} />}
      {at.kind === "window" && <SelectInput path={`${path}.agg`} label={t("centre.rules.aggregate")} value={at.agg} options={AGGS.map((agg) => [agg, t(`centre.rules.aggName.${agg}`)])} onChange={(agg) => set({ agg })} />}
      {at.kind !== "absence" && at.kind !== "geofence" && <SelectInput path={`${path}.attr`} label={t("centre.rules.attr")} value={at.attr} options={open.map(({ name }) => [name, labelOf(words, at.type, name)])} onChange={newAttr} />}
      {"op" in at && opField(at.op)}
      {(at.kind === "threshold" || at.kind === "window" || at.kind === "rate") && <ValueInput key={`${had}-${counts}`} path={`${path}.value`} label={t("centre.rules.value")} attr={counts ? undefined : attr} value={at.value} onChange={(value) => set({ value })} />}
      {rising && <NumberInput key={`${had}-back`} path={`${path}.hysteresis`} label={t("centre.rules.hysteresis")} unit={attr?.unit ?? ""} scale={attr?.scale ?? 1} min={0} value={at.hysteresis ?? 0} onChange={(hysteresis) => set({ hysteresis })} />}
      {at.kind === "change" && <ValueInput key={`${had}-from`} path={`${path}.from`} label={t("centre.rules.from")} attr={attr} optional value={at.from} onChange={(from) => set({ from })} />}
      {at.kind === "change" && <ValueInput key={`${had}-to`} path={`${path}.to`} label={t("centre.rules.to")} attr={attr} optional value={at.to} onChange={(to) => set({ to })} />}
      {at.kind === "absence" && <SpanInput path={`${path}.for_s`} label={t("centre.rules.silentFor")} value={at.for_s} onChange={(for_s) => set({ for_s })} />}
      {at.kind === "rate" && <SpanInput path={`${path}.per_s`} label={t("centre.rules.per")} value={at.per_s} onChange={(per_s) => set({ per_s })} />}
      {at.kind === "window" && <SpanInput path={`${path}.over_s`} label={t("centre.rules.over")} value={at.over_s} onChange={(over_s) => set({ over_s })} />}
      {at.kind === "anomaly" && <SelectInput path={`${path}.sensitivity`} label={t("centre.rules.sensitivity")} value={at.sensitivity ?? "medium"} options={SENSITIVITIES.map((one) => [one, t(`centre.rules.sensitive.${one}`)])} onChange={(sensitivity) => set({ sensitivity })} />}
      {at.kind === "geofence" && <SelectInput<"enter" | "leave" | "dwell"> path={`${path}.on`} label={t("centre.rules.fenceOn")} value={at.on} options={(["enter", "leave", "dwell"] as const).map((one) => [one, t(`centre.rules.fence.${one}`)])} onChange={(on) => set({ on, dwell_s: on === "dwell" ? at.dwell_s || 600 : undefined })} />}
      {at.kind === "geofence" && at.on === "dwell" && <SpanInput path={`${path}.dwell_s`} label={t("centre.rules.dwell")} value={at.dwell_s ?? 600} onChange={(dwell_s) => set({ dwell_s })} />}
      {at.kind === "geofence" && <AreaField path={`${path}.polygon`} value={at.polygon} onChange={(polygon) => set({ polygon })} />}
    </div>
  );
}

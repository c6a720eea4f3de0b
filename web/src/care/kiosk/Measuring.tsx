import { useMemo, useState, type JSX } from "react";
import { number } from "../../format";
import { t } from "../../i18n";
import { DeviceStep, useRadio } from "./DeviceStep";
import { Drawing } from "./drawings";
import type { Visit } from "./flow";
import { doubt, mean, type Field, type Measure } from "./measures";
import { Big, NumberPad, Sheet } from "./parts";
import { Rest } from "./Rest";
import type { Measurement, Place } from "./types";

type Stage = { at: "show" } | { at: "rest"; seconds: number } | { at: "device" } | { at: "type"; index: number } | { at: "doubt"; index: number } | { at: "done" };

/** How long to sit quietly before a blood pressure, and between two: Korean Society of Hypertension 2018, ESH 2023. */
const REST_S = 300;
const BETWEEN_S = 60;

/** Measures one thing: says what to do, takes it from a device or by hand, asks kindly about what is odd, and shows it. */
export function Measuring({ measure, place, visit, onTaken, onSkip }: { measure: Measure; place: Place; visit: Visit; onTaken: (taken: Measurement[]) => void; onSkip: () => void }): JSX.Element {
  const radio = useRadio(place);
  const byDevice = measure.characteristic !== undefined && radio !== undefined;
  const [stage, setStage] = useState<Stage>({ at: "show" });
  const [repeat, setRepeat] = useState(1);
  const [taken, setTaken] = useState<Measurement[]>([]);
  const repeats = measure.repeats ?? 1;
  const name = t(`kiosk.measure.${measure.id}`);
  const drawing = <Drawing of={measure.id} />;
  const now = useMemo(() => taken.filter((one) => (one.repeat ?? 1) === repeat), [taken, repeat]);
  const unit = (field: Field): string => place.plausibility[field.column]?.unit ?? field.unit;

  const start = (): void => setStage(byDevice ? { at: "device" } : { at: "type", index: 0 });
  const put = (fresh: Measurement[]): Measurement[] => {
    const columns = new Set(fresh.map(({ column }) => column));
    return [...taken.filter((one) => (one.repeat ?? 1) !== repeat || !columns.has(one.column)), ...fresh];
  };
  /** After the values of a repeat are in: ask about what is odd, type what the device does not know, or show them. */
  const check = (all: Measurement[], from = 0): void => {
    setTaken(all);
    for (let index = from; index < measure.fields.length; index++) {
      const field = measure.fields[index]!;
      const found = all.find((one) => one.column === field.column && (one.repeat ?? 1) === repeat);
      if (!found) {
        if (!measure.optional?.includes(field.column)) return setStage({ at: "type", index });
      } else if (doubt(field.column, found.value, place.plausibility[field.column], visit.identified?.last?.height_cm)) return setStage({ at: "doubt", index });
    }
    setStage({ at: "done" });
  };

  if (stage.at === "show") return (
    <Sheet title={name} help={t(`kiosk.how.${measure.id}`)} drawing={drawing}
      actions={<><Big kind="primary" onPress={() => (measure.id === "blood-pressure" ? setStage({ at: "rest", seconds: REST_S }) : start())}>{t("kiosk.begin")}</Big><Big onPress={onSkip}>{t("kiosk.skip")}</Big></>} />
  );
  if (stage.at === "rest") return <Rest key={repeat} seconds={stage.seconds} first={repeat === 1} drawing={drawing} onRested={start} />;
  if (stage.at === "device") return (
    <DeviceStep key={repeat} radio={radio!} measure={measure} drawing={drawing} onHand={() => setStage({ at: "type", index: 0 })}
      onTaken={({ reading, raw, device }) => {
        const at = new Date().toISOString();
        check(put(measure.fields.flatMap((field): Measurement[] => {
          const value = reading.columns[field.column];
          return value === undefined ? [] : [{ column: field.column, value: Number(value.toFixed(4)), unit: unit(field), at, how: "device", device, raw, ...(repeats > 1 ? { repeat } : {}) }];
        })));
      }} />
  );
  if (stage.at === "type") {
    const field = measure.fields[stage.index]!;
    const optional = measure.optional?.includes(field.column);
    return (
      <Typing key={`${stage.index} ${repeat}`} field={field} unit={unit(field)}
        onSkip={optional ? () => check(taken, stage.index + 1) : undefined}
        onValue={(value) => {
          const fresh = put([{ column: field.column, value, unit: unit(field), at: new Date().toISOString(), how: "manual", device: null, raw: null, ...(repeats > 1 ? { repeat } : {}) }]);
          if (doubt(field.column, value, place.plausibility[field.column], visit.identified?.last?.height_cm)) {
            setTaken(fresh);
            return setStage({ at: "doubt", index: stage.index });
          }
          const missing = measure.fields.findIndex(({ column }, index) => index > stage.index && !fresh.some((one) => one.column === column && (one.repeat ?? 1) === repeat));
          if (missing < 0) return check(fresh, measure.fields.length);
          setTaken(fresh);
          setStage({ at: "type", index: missing });
        }} />
    );
  }
  if (stage.at === "doubt") {
    const field = measure.fields[stage.index]!;
    const odd = now.find((one) => one.column === field.column)!;
    const why = doubt(field.column, odd.value, place.plausibility[field.column], visit.identified?.last?.height_cm)!;
    const shown = `${number(odd.value)} ${unit(field)}`;
    const last = visit.identified?.last?.height_cm;
    return (
      <Sheet tone="ask" title={t(`kiosk.doubt.${why}`, { value: shown, what: t(`kiosk.column.${field.column}`) })}
        help={t(`kiosk.doubt.${why}Help`, why === "changed" && last ? { last: `${number(last, 1)} cm` } : {})}
        actions={<>
          {why !== "impossible" && <Big kind="primary" onPress={() => check(taken, stage.index + 1)}>{t("kiosk.doubt.right")}</Big>}
          {byDevice && <Big onPress={() => setStage({ at: "device" })}>{t("kiosk.doubt.again")}</Big>}
          <Big onPress={() => setStage({ at: "type", index: stage.index })}>{t("kiosk.doubt.type")}</Big>
          <Big kind="quiet" onPress={() => { const left = taken.filter((one) => one !== odd); if (measure.optional?.includes(field.column)) check(left, stage.index + 1); else onSkip(); }}>{t("kiosk.skip")}</Big>
        </>} />
    );
  }
  if (repeat < repeats) return (
    <Sheet title={t("kiosk.repeat.title")} help={t("kiosk.repeat.help")} drawing={drawing}
      actions={<><Big kind="primary" onPress={() => { setRepeat(repeat + 1); setStage({ at: "rest", seconds: BETWEEN_S }); }}>{t("kiosk.repeat.again")}</Big><Big onPress={() => onTaken(taken)}>{t("kiosk.repeat.enough")}</Big></>}>
      <Values measure={measure} taken={now} unit={unit} />
    </Sheet>
  );
  return (
    <Sheet title={t("kiosk.taken.title", { what: name })} help={repeats > 1 && repeat > 1 ? t("kiosk.taken.mean") : ""}
      actions={<><Big kind="primary" onPress={() => onTaken(taken)}>{t("kiosk.next")}</Big><Big onPress={() => { setTaken([]); setRepeat(1); start(); }}>{t("kiosk.doubt.again")}</Big></>}>
      <Values measure={measure} taken={taken} unit={unit} />
    </Sheet>
  );
}

/** What was measured, in very large figures; of several readings the mean. */
function Values({ measure, taken, unit }: { measure: Measure; taken: Measurement[]; unit: (field: Field) => string }): JSX.Element {
  return (
    <dl className="values">
      {measure.fields.map((field) => {
        const value = mean(taken, field.column);
        return value !== undefined && <div key={field.column}><dt>{t(`kiosk.column.${field.column}`)}</dt><dd><b>{number(value, field.decimals)}</b> {unit(field)}</dd></div>;
      })}
    </dl>
  );
}

function Typing({ field, unit, onValue, onSkip }: { field: Field; unit: string; onValue: (value: number) => void; onSkip: (() => void) | undefined }): JSX.Element {
  const [typed, setTyped] = useState("");
  const value = Number(typed);
  const fine = /\d/.test(typed) && Number.isFinite(value);
  const done = (): void => { if (fine) onValue(value); };
  const what = t(`kiosk.column.${field.column}`);
  return (
    <Sheet title={t("kiosk.type.title", { what })} help={t("kiosk.type.help")}
      actions={<><Big kind="primary" disabled={!fine} onPress={done}>{t("kiosk.next")}</Big>{onSkip && <Big onPress={onSkip}>{t("kiosk.type.unknown")}</Big>}</>}>
      <NumberPad label={what} unit={unit} decimals={field.decimals} signed={field.signed} value={typed} onChange={setTyped} onEnter={done} focus />
    </Sheet>
  );
}

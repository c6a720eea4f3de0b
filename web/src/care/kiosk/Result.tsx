import { Activity, Armchair, Droplets, Dumbbell, HeartPulse, PersonStanding, Printer, Ruler, Smartphone, Sparkles, TriangleAlert, type IconNode } from "lucide";
import { useState, type JSX } from "react";
import { Heading } from "react-aria-components";
import { dateTime, number } from "../../format";
import { t, text } from "../../i18n";
import { reason } from "../../problems";
import { Icon } from "../../ui/Icon";
import { ask } from "./data";
import type { Visit } from "./flow";
import { mean, MEASURES, urgent } from "./measures";
import { Big, Sheet } from "./parts";
import type { Graded, Level, Place } from "./types";

const LEVELS: readonly Level[] = ["good", "watch", "act", "urgent"];
const worst = (grades: readonly Graded[]): Level => grades.reduce<Level>((most, { level }) => (LEVELS.indexOf(level) > LEVELS.indexOf(most) ? level : most), "good");
const ICONS: Record<string, IconNode> = { "blood-pressure": HeartPulse, body: Ruler, fitness: Dumbbell, blood: Droplets, risk: Activity, posture: PersonStanding, muscle: Armchair };

/** More than a few things nobody does; all of them are below, and in the app. */
const MOST_TODO = 3;
/** What a QR code for a phone can hold. */
const MOST_QR = 850;

/** The result: calm, drawn, what is urgent first, then what to do next. */
export function Result({ place, visit, onDone, onStaff }: { place: Place; visit: Visit; onDone: () => void; onStaff: () => void }): JSX.Element {
  const [code, setCode] = useState<string[]>();
  const [problem, setProblem] = useState("");
  const taken = Object.values(visit.taken).flat();
  const outcome = visit.outcome === "later" || !visit.outcome ? undefined : visit.outcome;
  const shown = outcome?.grades.filter(({ beside }) => !beside) ?? [];
  const alerts = outcome?.alerts ?? [];
  const pressing = alerts.length > 0 || urgent(taken);
  const level = pressing ? "urgent" : worst(shown);
  const todo = shown.filter((one) => one.level === "act" || one.level === "watch").sort((a, b) => LEVELS.indexOf(b.level) - LEVELS.indexOf(a.level));
  const first = todo.slice(0, MOST_TODO);
  const groups = [...new Set(shown.map(({ group }) => group))];
  const title = pressing ? t("kiosk.urgent.title") : outcome ? t(`kiosk.result.${level}`) : t("kiosk.result.later");
  const help = pressing ? (alerts.length ? alerts.map((alert) => text(alert.what_to_do)).join(" ") : t("kiosk.urgent.help")) : outcome ? "" : t("kiosk.result.laterHelp");

  const qr = async (): Promise<void> => {
    setProblem("");
    try {
      setCode((await ask<{ rows: string[] }>("/kiosk/qr", { text: sheet(place, visit, shown).slice(0, MOST_QR) })).rows);
    } catch (error) {
      setProblem(reason(error));
    }
  };
  return (
    <Sheet tone={pressing ? "urgent" : undefined} title={title} help={help} also={first.map((one) => text(one.text)).join(" ")} drawing={<Face level={level} />}
      actions={<>
        {pressing && <Big kind="primary" onPress={onStaff}>{t("kiosk.staff")}</Big>}
        <Big onPress={() => print()}><Icon node={Printer} size={36} />{t("kiosk.result.print")}</Big>
        {outcome && <Big onPress={() => void qr()}><Icon node={Smartphone} size={36} />{t("kiosk.result.phone")}</Big>}
        <Big kind={pressing ? "plain" : "primary"} onPress={onDone}>{t("kiosk.result.done")}</Big>
      </>}>
      {alerts.some((alert) => alert.nurse_told) && <p className="said"><Icon node={TriangleAlert} size={34} />{t("kiosk.urgent.told")}</p>}
      <p role="status" className="said">{problem}</p>
      {code && <figure className="phone-code"><Qr rows={code} /><figcaption>{t("kiosk.result.phoneHelp")}</figcaption></figure>}
      {first.length > 0 && <section className="todo"><Heading level={2}>{t("kiosk.result.next")}</Heading><ol>{first.map((one) => <li key={one.rule} data-level={one.level}><b>{text(one.title)}</b><span>{text(one.text)}</span></li>)}</ol></section>}
      <Values taken={taken} />
      {groups.map((group) => (
        <section key={group} className="grades"><Heading level={2}><Icon node={ICONS[group] ?? Sparkles} size={34} />{t(`kiosk.group.${group}`)}</Heading>
          <ul>{shown.filter((one) => one.group === group).map((one) => <Grade key={one.rule} one={one} />)}</ul>
        </section>
      ))}
      {outcome && <p className="said">{t(outcome.encounter ? "kiosk.result.kept" : "kiosk.result.unkept")}</p>}
    </Sheet>
  );
}

function Values({ taken }: { taken: Parameters<typeof mean>[0] }): JSX.Element {
  return (
    <dl className="values">
      {[...MEASURES.values()].flatMap(({ fields }) => fields).map((field) => {
        const value = mean(taken, field.column);
        const unit = taken.find(({ column }) => column === field.column)?.unit ?? field.unit;
        return value !== undefined && <div key={field.column}><dt>{t(`kiosk.column.${field.column}`)}</dt><dd><b>{number(value, field.decimals)}</b> {unit}</dd></div>;
      })}
    </dl>
  );
}

/** One grade: where it lies between good and urgent, by place and by word, not by colour alone. */
function Grade({ one }: { one: Graded }): JSX.Element {
  return (
    <li className="grade" data-level={one.level}>
      <p><b>{text(one.title)}</b>{one.value !== null && <span>{number(one.value, 1)} {one.unit}</span>}</p>
      {LEVELS.includes(one.level) && <div className="ladder" aria-hidden="true">{LEVELS.map((level) => <i key={level} data-level={level} data-here={level === one.level || undefined} />)}</div>}
      <p className="grade-word">{one.level !== "info" && <em>{t(`kiosk.level.${one.level}`)}</em>} {text(one.text)}</p>
    </li>
  );
}

/** A face with a word beside it in the heading: content, thoughtful, or worried. */
function Face({ level }: { level: Level }): JSX.Element {
  const mouth = { info: "M84 150h72", good: "M80 140q40 42 80 0", watch: "M82 150h76", act: "M82 158q38-22 76 0", urgent: "M82 162q38-34 76 0" }[level];
  return <svg viewBox="0 0 240 240" className="drawn face" data-level={level}><circle cx="120" cy="120" r="92" /><circle cx="88" cy="100" r="5" className="eye" /><circle cx="152" cy="100" r="5" className="eye" /><path d={mouth} /></svg>;
}

/** A QR code from its rows, with the quiet margin that readers need. */
function Qr({ rows }: { rows: readonly string[] }): JSX.Element {
  const size = rows.length + 8;
  const path = rows.flatMap((row, y) => [...row].map((bit, x) => (bit === "1" ? `M${x + 4} ${y + 4}h1v1h-1z` : ""))).join("");
  return <svg viewBox={`0 0 ${size} ${size}`} role="img" aria-label={t("kiosk.result.qr")} shapeRendering="crispEdges"><rect width={size} height={size} fill="#fff" /><path d={path} fill="#000" /></svg>;
}

/** The result as a few lines of text, for a phone that has no account here. */
function sheet(place: Place, visit: Visit, shown: readonly Graded[]): string {
  const taken = Object.values(visit.taken).flat();
  const values = [...MEASURES.values()].flatMap(({ fields }) => fields).flatMap((field) => {
    const value = mean(taken, field.column);
    return value === undefined ? [] : [`${t(`kiosk.column.${field.column}`)} ${number(value, field.decimals)} ${field.unit}`];
  });
  const words = shown.filter(({ level }) => level === "act" || level === "urgent").map((one) => `${text(one.title)}: ${text(one.text)}`);
  return [`${place.place ? text(place.place.name) : ""} ${dateTime(visit.startedAt)}`, ...values, ...words].join("\n");
}

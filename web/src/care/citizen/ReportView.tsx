import { CalendarCheck, FileDown, Phone } from "lucide";
import { useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { file } from "../../api";
import { age } from "../../format";
import { language, t, text } from "../../i18n";
import { reason } from "../../problems";
import { Icon } from "../../ui/Icon";
import { To } from "../../ui/page";
import { ROOT } from "./data";
import { LevelChip, Mark, Part } from "./parts";
import { ScaleView } from "./ScaleView";
import type { Group, Item, Report, Value } from "./types";
import { date, shown } from "./words";

/** A visit's report: what needs a doctor first, then one sentence, what to do, and each group of findings. */
export function ReportView({ report, offline }: { report: Report; offline: boolean }): JSX.Element {
  const { summary } = report;
  return (
    <article className="report" aria-labelledby="report-title">
      {report.urgent.length > 0 && <Urgent report={report} />}
      <header className="report-head">
        <p className="eyebrow"><time dateTime={report.at}>{date(report.at)}</time> · {age(report.at)}{text(report.place) && ` · ${text(report.place)}`}</p>
        <h1 id="report-title">{t("health.report")}</h1>
        <p className="summary" data-level={summary.level}><Mark level={summary.level} size={24} /><span>{text(summary.text)}</span></p>
      </header>
      {report.next.length > 0 && (
        <Part title={t("health.next")} id="report-next">
          <ol className="next-list">
            {report.next.map((one) => (
              <li key={one.when + text(one.text)} data-level={one.level}>
                <Icon node={CalendarCheck} />
                <div>
                  <b>{one.level !== "urgent" && `${t("health.by", { date: date(one.when) })} · `}{text(one.what)}</b>
                  <p>{text(one.text)}</p>
                  {text(one.about) && <small>{text(one.about)}</small>}
                </div>
              </li>
            ))}
          </ol>
        </Part>
      )}
      {report.groups.map((group) => <GroupView key={group.id} group={group} />)}
      <Measurements values={report.measurements} />
      {!offline && <Print encounter={report.encounter} />}
      <p className="help">{t("health.screening")}</p>
    </article>
  );
}

function Urgent({ report }: { report: Report }): JSX.Element {
  return (
    <section className="urgent" role="region" aria-labelledby="urgent-title">
      <h2 id="urgent-title"><Mark level="urgent" size={26} />{t("health.urgent")}</h2>
      {report.urgent.map((item) => <p key={item.rule}><b>{item.shown && `${item.shown} ${text(item.unit)}. `}</b>{text(item.text)}</p>)}
      <p className="urgent-who">{report.seen ? t("health.alertSeen", { date: date(report.seen) }) : report.alerted ? t("health.alertSent") : t("health.alertNobody")}</p>
      <a className="button urgent-call" href="tel:119"><Icon node={Phone} />{t("health.call119")}</a>
    </section>
  );
}

function GroupView({ group }: { group: Group }): JSX.Element {
  const own = group.items.filter(({ beside }) => !beside);
  const others = group.items.filter(({ beside }) => beside);
  return (
    <Part title={text(group.title)} id={`group-${group.id}`} actions={<LevelChip level={group.level} />}>
      {own.map((item) => <ItemView key={item.rule} item={item} />)}
      {others.length > 0 && (
        <details className="besides">
          <summary>{t("health.beside")}</summary>
          <dl>{others.map((item) => <div key={item.rule}><dt>{text(item.title)}</dt><dd>{text(item.text)}</dd></div>)}</dl>
        </details>
      )}
    </Part>
  );
}

function ItemView({ item }: { item: Item }): JSX.Element {
  return (
    <div className="finding" data-level={item.level}>
      <h3>{text(item.title)}</h3>
      <p className="finding-value">{item.shown && <b>{item.shown}<small> {text(item.unit)}</small></b>}<LevelChip level={item.level} /></p>
      <p>{text(item.text)}</p>
      {item.scales.map((scale) => <ScaleView key={scale.column} scale={scale} />)}
      {item.previous && <p className="before">{t("health.before", { date: date(item.previous.at), value: item.previous.shown })}</p>}
      <details className="why">
        <summary>{t("health.cannot")}<span className="visually-hidden">: {text(item.title)}</span></summary>
        {text(item.cannot) && <p>{text(item.cannot)}</p>}
        {item.inputs.length > 0 && <p>{t("health.from", { values: item.inputs.map((one) => `${text(one.title)} ${shown(one.shown)} ${text(one.unit)}`.trim()).join(", ") })}</p>}
        {item.source && <p className="source">{t("health.source", { source: item.source, version: item.version })}</p>}
      </details>
    </div>
  );
}

function Measurements({ values }: { values: Value[] }): JSX.Element {
  return (
    <details className="health-part measurements">
      <summary>{t("health.measurements", { count: values.length })}</summary>
      <table>
        <thead><tr><th scope="col">{t("health.what")}</th><th scope="col">{t("health.valueHead")}</th></tr></thead>
        <tbody>{values.map((one) => <tr key={one.column}><th scope="row">{text(one.title)}</th><td>{shown(one.shown)} {text(one.unit)}</td></tr>)}</tbody>
      </table>
    </details>
  );
}

function Print({ encounter }: { encounter: string }): JSX.Element {
  const [problem, setProblem] = useState("");
  async function save(): Promise<void> {
    setProblem("");
    try {
      const made = await file(`${ROOT}/report.pdf?encounter=${encodeURIComponent(encounter)}&lang=${language.value}`);
      const address = URL.createObjectURL(made);
      Object.assign(document.createElement("a"), { href: address, download: `${t("health.fileName")}.pdf` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    } catch (error) {
      setProblem(reason(error));
    }
  }
  return (
    <div className="report-end">
      <Button className="button big" onPress={() => void save()}><Icon node={FileDown} />{t("health.pdf")}</Button>
      <To className="link tall" path="/app/health/visits">{t("health.earlier")}</To>
      {problem && <p role="alert" className="problem">{problem}</p>}
    </div>
  );
}

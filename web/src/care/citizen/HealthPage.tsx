import { ChartSpline, ClipboardCheck, QrCode, ShieldCheck, Target } from "lucide";
import { type JSX } from "react";
import { t, text } from "../../i18n";
import "../../styles/health.css";
import { Icon } from "../../ui/Icon";
import { To, useTitle } from "../../ui/page";
import { useMine } from "./data";
import { DataView } from "./DataView";
import { GoalsView } from "./GoalsView";
import { useLasting } from "./lasting";
import { LevelChip, OfflineNote, Part } from "./parts";
import { PassView } from "./PassView";
import { Referrals } from "./Referrals";
import { Register } from "./Register";
import { ReportView } from "./ReportView";
import { TrendsView } from "./TrendsView";
import type { Me, Report, Visit } from "./types";
import { date } from "./words";

const HOME = "/app/health";
const TABS = [["", ClipboardCheck], ["trends", ChartSpline], ["pass", QrCode], ["goals", Target], ["data", ShieldCheck]] as const;

/** A citizen's health: the last report, how it has gone, goals, the pass for the kiosk, and who may see it. */
export function HealthPage({ part, id }: { part: string; id: string }): JSX.Element {
  const me = useMine<Me>("");
  useLasting();
  const shown = part === "visits" ? "" : part;
  return (
    <div className="health">
      <nav className="health-nav" aria-label={t("health.title")}>
        {me.data?.patient && TABS.map(([tab, icon]) => (
          <span key={tab} className="tab" data-current={shown === tab || undefined}>
            <To path={tab ? `${HOME}/${tab}` : HOME} current={shown === tab}><Icon node={icon} size={22} />{t(`health.tab.${tab || "report"}`)}</To>
          </span>
        ))}
      </nav>
      <div className="health-main" key={`${part}/${id}`}>
        {me.problem && <p role="alert" className="problem">{me.problem}</p>}
        {!me.data && !me.problem && <p role="status" className="hint">{t("office.loading")}</p>}
        {me.data && !me.data.patient && <Register me={me.data} done={me.reload} />}
        {me.data?.patient && (
          <>
            {shown === "" && (part === "visits" && !id ? <Visits /> : <Last encounter={id} />)}
            {part === "trends" && <TrendsView />}
            {part === "goals" && <GoalsView />}
            {part === "pass" && <PassView me={me.data} />}
            {part === "data" && <DataView me={me.data} changed={me.reload} />}
          </>
        )}
      </div>
    </div>
  );
}

function Last({ encounter }: { encounter: string }): JSX.Element {
  const { data, problem, keptAt } = useMine<{ report: Report | null }>(encounter ? `/report?encounter=${encodeURIComponent(encounter)}` : "/report");
  useTitle(t("health.report"));
  if (problem) return <p role="alert" className="problem">{problem}</p>;
  if (!data) return <p role="status" className="hint">{t("office.loading")}</p>;
  return (
    <>
      <OfflineNote keptAt={keptAt} />
      {data.report ? <ReportView report={data.report} offline={Boolean(keptAt)} /> : <Empty />}
      {!encounter && <Referrals />}
    </>
  );
}

function Empty(): JSX.Element {
  return (
    <div className="health-empty">
      <h1>{t("health.nothingYet")}</h1>
      <p>{t("health.nothingYetHelp")}</p>
      <To className="button primary big" path={`${HOME}/pass`}><Icon node={QrCode} />{t("health.showPass")}</To>
    </div>
  );
}

function Visits(): JSX.Element {
  const { data, problem, keptAt } = useMine<{ visits: Visit[] }>("/visits");
  useTitle(t("health.visits"));
  return (
    <Part title={t("health.visits")} id="visits">
      <OfflineNote keptAt={keptAt} />
      {problem && <p role="alert" className="problem">{problem}</p>}
      {data?.visits.length === 0 && <p className="hint">{t("health.nothingYet")}</p>}
      <ul className="visit-list">
        {data?.visits.map((visit) => (
          <li key={visit.encounter}>
            <To path={`${HOME}/visits/${encodeURIComponent(visit.encounter)}`}><time dateTime={visit.at}>{date(visit.at)}</time> {text(visit.place)}</To>
            <LevelChip level={visit.level} />
          </li>
        ))}
      </ul>
    </Part>
  );
}

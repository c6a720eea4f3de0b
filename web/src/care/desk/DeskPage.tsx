import { useState, type JSX } from "react";
import { number } from "../../format";
import { t } from "../../i18n";
import "../../styles/health.css";
import "../../styles/desk.css";
import { To, useTitle } from "../../ui/page";
import { AlertsPart } from "./AlertsPart";
import { useAlerts } from "./data";
import { PersonPart } from "./PersonPart";
import { ReferralsPart } from "./ReferralsPart";
import { FindPart, WorklistPart } from "./WorklistPart";

/** The nurse's desk: what is urgent, then who is due, then one person or all referrals. */
export function DeskPage({ part, id }: { part: string; id: string }): JSX.Element {
  const alerts = useAlerts();
  const [version, setVersion] = useState(0);
  const count = alerts.open.length;
  useTitle(count ? `(${number(count)}) ${t("desk.title")}` : t("desk.title"));
  const person = part === "person" ? id : "";
  return (
    <div className="desk">
      <h1 className="visually-hidden">{t("desk.title")}</h1>
      <AlertsPart alerts={alerts} />
      <nav className="desk-nav" aria-label={t("desk.parts")}>
        <To path="/care" current={part !== "referrals"}>{t("desk.followUp")}</To>
        <To path="/care/referrals" current={part === "referrals"}>{t("desk.referrals")}</To>
      </nav>
      {part === "referrals" ? <ReferralsPart /> : (
        <div className="desk-columns">
          {person && <PersonPart key={person} id={person} done={() => setVersion((before) => before + 1)} />}
          <WorklistPart key="worklist" version={version} selected={person} />
          {!person && <FindPart />}
        </div>
      )}
    </div>
  );
}

import { useEffect, useRef, useState, type JSX } from "react";
import { t, text } from "../../i18n";
import { reason } from "../../problems";
import { body, keeps, known, type Visit } from "./flow";
import { urgent } from "./measures";
import { Big, Sheet } from "./parts";
import type { Objection, Outcome, Place } from "./types";
import { FullError, sendOnly, type Settled, type Visits } from "./visits";

type Stage = { at: "sending" } | { at: "objections"; problems: Objection[] } | { at: "lost" } | { at: "full" } | { at: "refused"; why: string };

/** Hands the visit in. What may be kept is written down here first; what may not waits on the screen for a line. */
export function Sending({ place, visit, visits, onOutcome, onAgain, onGiveUp }: {
  place: Place;
  visit: Visit;
  visits: Visits;
  onOutcome: (outcome: Outcome | "later") => void;
  onAgain: (column: string) => void;
  onGiveUp: () => void;
}): JSX.Element {
  const [stage, setStage] = useState<Stage>({ at: "sending" });
  const [attempt, setAttempt] = useState(0);
  const done = useRef(onOutcome);
  done.current = onOutcome;
  useEffect(() => {
    let gone = false;
    const settle = (settled: Settled): void => {
      if (gone) return;
      if (settled.kind === "outcome") done.current(settled.outcome);
      else if (settled.kind === "objections") setStage({ at: "objections", problems: settled.problems });
      else if (settled.kind === "refused") setStage({ at: "refused", why: reason(settled.error) });
      else if (keeps(visit)) done.current("later");
      else setStage({ at: "lost" });
    };
    const sent = body(visit, place.kiosk);
    // A second look at the same visit is not a second visit: its id is the same.
    (keeps(visit) ? visits.submit(sent) : sendOnly(sent)).then(settle, (error: unknown) => { if (!gone) setStage(error instanceof FullError ? { at: "full" } : { at: "refused", why: reason(error) }); });
    return () => { gone = true; };
  }, [place, visit, visits, attempt]);

  const retry = (): void => { setStage({ at: "sending" }); setAttempt(attempt + 1); };
  const now = urgent(Object.values(visit.taken).flat());
  if (stage.at === "sending") return <Sheet title={t("kiosk.send.title")}><p role="status" className="said"><i className="pulse" />{t("kiosk.identify.busy")}</p></Sheet>;
  if (stage.at === "objections") {
    const [first] = stage.problems;
    return (
      <Sheet tone="ask" title={t("kiosk.send.objections")} help={t("kiosk.send.objectionsHelp")} actions={<><Big kind="primary" onPress={() => onAgain(first!.column)}>{t("kiosk.doubt.again")}</Big><Big onPress={onGiveUp}>{t("kiosk.send.without")}</Big></>}>
        <ul className="plain">{stage.problems.map((one) => <li key={one.column}>{text(one.text)}</li>)}</ul>
      </Sheet>
    );
  }
  if (stage.at === "refused") return <Sheet tone="ask" title={t("kiosk.send.refused")} help={stage.why} actions={<><Big kind="primary" onPress={retry}>{t("kiosk.send.retry")}</Big><Big onPress={onGiveUp}>{t("kiosk.send.without")}</Big></>} />;
  return (
    <Sheet tone={now ? "urgent" : "ask"} title={t(now ? "kiosk.urgent.title" : stage.at === "full" ? "kiosk.send.full" : "kiosk.send.lost")} help={now ? t("kiosk.urgent.help") : t(known(visit) ? "kiosk.send.lostUnkept" : "kiosk.send.lostNobody")}
      actions={<><Big kind="primary" onPress={retry}>{t("kiosk.send.retry")}</Big><Big onPress={onGiveUp}>{t("kiosk.send.without")}</Big></>} />
  );
}

import { CloudOff, HandHelping, RotateCcw, Volume2, VolumeX } from "lucide";
import { useEffect, useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { number } from "../../format";
import { language, languageName, languages, t, text } from "../../i18n";
import { reason } from "../../problems";
import { useValue } from "../../state";
import "../../styles/kiosk.css";
import { Icon } from "../../ui/Icon";
import { useTitle } from "../../ui/page";
import { Attract, Consents, Goodbye, Identify, Person, Question } from "./Asking";
import { useCover } from "./cover";
import { ask } from "./data";
import { again, back, begin, change, identified, next, screenOf } from "./flow";
import { useLasting } from "./lasting";
import { Measuring } from "./Measuring";
import { MEASURES } from "./measures";
import { Big, Progress, Sheet } from "./parts";
import { PostureStep } from "./PostureStep";
import { Result } from "./Result";
import { Sending } from "./Sending";
import { aloud, canSpeak, hush } from "./speech";
import type { Place } from "./types";
import { Visits } from "./visits";

const RETRY_MS = 5_000;

/** The screens of a measuring place: one person after the other, one thing at a time. */
export function Kiosk(): JSX.Element {
  const [place, setPlace] = useState<Place>();
  const [visits, setVisits] = useState<Visits>();
  const [problem, setProblem] = useState("");
  useTitle(t("kiosk.title"));
  useLasting(place !== undefined);
  useEffect(() => {
    let retry: ReturnType<typeof setTimeout>;
    const load = (): void => void ask<Place>("/kiosk").then((found) => { setPlace(found); setProblem(""); }, (error: unknown) => {
      setProblem(reason(error));
      retry = setTimeout(load, RETRY_MS);
    });
    load();
    return () => clearTimeout(retry);
  }, []);
  useEffect(() => {
    if (!isSecureContext) return;
    const made = new Visits();
    setVisits(made);
    return () => made.close();
  }, []);
  useEffect(() => hush, []);
  if (!isSecureContext) return <div className="kiosk"><p role="alert" className="problem">{t("kiosk.insecure")}</p></div>;
  if (!place || !visits) return <div className="kiosk">{problem ? <p role="alert" className="problem">{problem}</p> : <p role="status" className="hint">{t("office.loading")}</p>}</div>;
  return <Turns place={place} visits={visits} />;
}

/** One visit after the other. With its turn goes everything that a visit knew. */
function Turns({ place, visits }: { place: Place; visits: Visits }): JSX.Element {
  const [turn, setTurn] = useState(0);
  return <Turn key={turn} place={place} visits={visits} over={() => { hush(); setTurn((before) => before + 1); }} />;
}

type Over = "restart" | "staff" | null;

function Turn({ place, visits, over }: { place: Place; visits: Visits; over: () => void }): JSX.Element {
  const [state, setState] = useState(() => begin(crypto.randomUUID()));
  const [above, setAbove] = useState<Over>(null);
  const screen = screenOf(state);
  const { visit } = state;
  const begun = screen.at !== "attract";
  const { covered, uncover } = useCover(begun);
  const forward = (): void => setState(next);
  const busy = covered || above !== null;
  return (
    <div className="kiosk" data-screen={screen.at}>
      <Strip place={place} visits={visits} begun={begun} onAbove={setAbove} inert={covered} />
      <div className="kiosk-main">
        {covered && (
          <Sheet title={t("kiosk.cover.title")} help={t("kiosk.cover.help")}
            actions={<><Big kind="primary" onPress={uncover}>{t("kiosk.cover.on")}</Big><Big onPress={over}>{t("kiosk.cover.again")}</Big></>} />
        )}
        {!covered && above === "restart" && (
          <Sheet tone="ask" title={t("kiosk.restart.title")} help={t("kiosk.restart.help")}
            actions={<><Big kind="primary" onPress={() => setAbove(null)}>{t("kiosk.restart.no")}</Big><Big onPress={over}>{t("kiosk.restart.yes")}</Big></>} />
        )}
        {!covered && above === "staff" && <Staff step={screen.at} onBack={() => setAbove(null)} />}
        {/* What is being measured goes on behind what is above it. */}
        <div className="under" hidden={busy}>
          <Progress value={state.index < 2 ? null : { done: state.index, all: state.screens.length - 1 }}>
            {screen.at === "attract" && <Attract place={place} onBegin={forward} />}
            {screen.at === "identify" && <Identify onKnown={(card, who) => setState((now) => identified(now, place, card, who, new Date().toISOString()))} />}
            {(screen.at === "sex" || screen.at === "age") && <Person at={screen.at} visit={visit} onSay={(person) => setState((now) => next(change(now, { person })))} />}
            {screen.at === "consent" && <Consents place={place} visit={visit} onSay={(consents) => setState((now) => next(change(now, { consents })))} />}
            {screen.at === "question" && <Question key={screen.column} column={screen.column} onSay={(answer) => setState((now) => next(change(now, { answers: answered(now.visit.answers, screen.column, answer) })))} />}
            {screen.at === "measure" && (
              <Measuring key={screen.id} measure={MEASURES.get(screen.id)!} place={place} visit={visit} onSkip={forward}
                onTaken={(taken) => setState((now) => next(change(now, { taken: { ...now.visit.taken, [screen.id]: taken } })))} />
            )}
            {screen.at === "posture" && <PostureStep onSkip={forward} onTaken={(posture) => setState((now) => next(change(now, { posture })))} />}
            {screen.at === "send" && (
              <Sending place={place} visit={visit} visits={visits} onAgain={(column) => setState((now) => again(now, column))}
                onOutcome={(outcome) => setState((now) => next(change(now, { outcome })))} onGiveUp={forward} />
            )}
            {screen.at === "result" && <Result place={place} visit={visit} onDone={forward} onStaff={() => setAbove("staff")} />}
            {screen.at === "goodbye" && <Goodbye visit={visit} onOver={over} />}
          </Progress>
        </div>
      </div>
      <footer className="kiosk-foot">
        {!busy && (screen.at === "identify" ? <Big kind="quiet" onPress={over}>{t("kiosk.back")}</Big> : state.index > 1 && !["send", "result", "goodbye"].includes(screen.at) && <Big kind="quiet" onPress={() => setState(back)}>{t("kiosk.back")}</Big>)}
      </footer>
    </div>
  );
}

function answered(answers: Record<string, boolean>, column: string, answer: boolean | null): Record<string, boolean> {
  const { [column]: _, ...others } = answers;
  return answer === null ? others : { ...others, [column]: answer };
}

/** The strip above: where this is, what waits, the language, reading aloud, staff, starting again. */
function Strip({ place, visits, begun, inert, onAbove }: { place: Place; visits: Visits; begun: boolean; inert: boolean; onAbove: (above: Over) => void }): JSX.Element {
  const tag = useValue(language);
  const voice = useValue(aloud);
  const { count, refused } = useValue(visits.waiting);
  const other = languages.find((one) => one !== tag) ?? tag;
  const toggle = (): void => {
    aloud.value = voice === "on" ? "off" : "on";
    if (aloud.value === "off") hush();
  };
  return (
    <header className="kiosk-strip" inert={inert}>
      <div>
        <b>{place.place ? text(place.place.name) : t("kiosk.title")}</b>
        <p role="status" className="kiosk-waiting">{count > 0 && <><Icon node={CloudOff} size={24} />{t("kiosk.waiting", { count: number(count) })}</>}{refused > 0 && ` ${t("kiosk.refused", { count: number(refused) })}`}</p>
      </div>
      <div className="kiosk-tools">
        <Button className="tool" lang={other} onPress={() => (language.value = other)}>{languageName(other)}</Button>
        {canSpeak && <Button className="tool" aria-pressed={voice === "on"} onPress={toggle}><Icon node={voice === "on" ? Volume2 : VolumeX} size={28} />{t("kiosk.aloud")}</Button>}
        <Button className="tool" onPress={() => onAbove("staff")}><Icon node={HandHelping} size={28} />{t("kiosk.staff")}</Button>
        {begun && <Button className="tool" onPress={() => onAbove("restart")}><Icon node={RotateCcw} size={28} />{t("kiosk.again")}</Button>}
      </div>
    </header>
  );
}

/** Calls somebody. Without a line it says what to do instead. */
function Staff({ step, onBack }: { step: string; onBack: () => void }): JSX.Element {
  const [called, setCalled] = useState<boolean | null>(null);
  useEffect(() => {
    let gone = false;
    ask("/kiosk/help", { at: new Date().toISOString(), step }).then(() => { if (!gone) setCalled(true); }, () => { if (!gone) setCalled(false); });
    return () => { gone = true; };
  }, [step]);
  const way = called === null ? "calling" : called ? "called" : "notCalled";
  return <Sheet title={t(`kiosk.staffCall.${way}`)} help={t(`kiosk.staffCall.${way}Help`)} drawing={<Icon node={HandHelping} size={160} />} actions={<Big kind="primary" onPress={onBack}>{t("kiosk.staffCall.back")}</Big>} />;
}

import { Check, QrCode } from "lucide";
import { useEffect, useRef, useState, type JSX } from "react";
import { Switch } from "react-aria-components";
import { Problem } from "../../api";
import { t, text } from "../../i18n";
import { reason } from "../../problems";
import { Icon } from "../../ui/Icon";
import { ask } from "./data";
import { Drawing } from "./drawings";
import type { Visit } from "./flow";
import { Big, NumberPad, Sheet } from "./parts";
import { Scanner } from "./Scanner";
import type { Card, Identified, Place, Sex } from "./types";

/** What is seen while nobody is there: large, and it begins with a touch anywhere on it. */
export function Attract({ place, onBegin }: { place: Place; onBegin: () => void }): JSX.Element {
  return (
    <Sheet title={t("kiosk.attract.title")} help={t("kiosk.attract.help", { minutes: Math.max(5, place.measures.length * 2) })} drawing={<Drawing of="attract" />}
      actions={<Big kind="primary" onPress={onBegin}>{t("kiosk.attract.begin")}</Big>} />
  );
}

/** A reader that types is quicker than a hand: this far apart at most are two of its keys. */
const READER_MS = 120;

/** The digits or letters that a card reader types and ends with Enter, wherever the focus is. */
function useReader(onRead: (number: string) => void): void {
  const read = useRef(onRead);
  read.current = onRead;
  useEffect(() => {
    let typed = "";
    let last = 0;
    const key = (event: KeyboardEvent): void => {
      if (event.target instanceof HTMLInputElement) return;
      if (event.timeStamp - last > READER_MS) typed = "";
      last = event.timeStamp;
      if (event.key === "Enter" && typed.length >= 4) {
        event.preventDefault();
        event.stopPropagation();
        read.current(typed);
        typed = "";
      } else if (/^[\w-]$/.test(event.key)) typed = (typed + event.key).slice(-64);
    };
    addEventListener("keydown", key, true);
    return () => removeEventListener("keydown", key, true);
  }, []);
}

/** Who measures: by the code on a phone, by a card, or nobody in particular. */
export function Identify({ onKnown }: { onKnown: (card: Card | null, who: Identified | null) => void }): JSX.Element {
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [way, setWay] = useState<"choose" | "code" | "card">("choose");
  const [typed, setTyped] = useState("");
  const asking = useRef(false);
  const identify = async (card: Card): Promise<void> => {
    if (asking.current) return;
    asking.current = true;
    setBusy(true);
    setProblem("");
    try {
      onKnown(card, await ask<Identified>("/kiosk/identify", card));
    } catch (error) {
      // Without a line the server says later whose visit it is.
      if (error instanceof Problem && (error.status === 0 || error.status >= 500)) onKnown(card, null);
      else setProblem(error instanceof Problem && error.status === 404 ? t("kiosk.identify.unknown") : reason(error));
    } finally {
      asking.current = false;
      setBusy(false);
    }
  };
  useReader((card) => void identify({ card }));
  const said = <p role="status" className="said" data-tone={problem ? "ask" : undefined}>{busy ? t("kiosk.identify.busy") : problem}</p>;
  if (way === "code") return (
    <Sheet title={t("kiosk.identify.code")} help={t("kiosk.identify.codeHelp")} also={problem} actions={<Big onPress={() => setWay("choose")}>{t("kiosk.identify.otherWay")}</Big>}>
      <Scanner onRead={(pass) => void identify({ pass })} />{said}
    </Sheet>
  );
  if (way === "card") return (
    <Sheet title={t("kiosk.identify.card")} help={t("kiosk.identify.cardHelp")} also={problem}
      actions={<><Big kind="primary" disabled={typed.length < 4 || busy} onPress={() => void identify({ card: typed })}>{t("kiosk.next")}</Big><Big onPress={() => setWay("choose")}>{t("kiosk.identify.otherWay")}</Big></>}>
      {said}<CardNumber value={typed} onChange={setTyped} onEnter={() => { if (typed.length >= 4) void identify({ card: typed }); }} />
    </Sheet>
  );
  return (
    <Sheet title={t("kiosk.identify.title")} help={t("kiosk.identify.help")} also={problem} drawing={<Drawing of="identify" />}>
      {said}
      <div className="choices">
        <Big kind="primary" onPress={() => setWay("code")}><Icon node={QrCode} size={40} />{t("kiosk.identify.byCode")}</Big>
        <Big onPress={() => setWay("card")}>{t("kiosk.identify.byCard")}</Big>
        <Big onPress={() => onKnown(null, null)}>{t("kiosk.identify.nobody")}</Big>
      </div>
    </Sheet>
  );
}

function CardNumber({ value, onChange, onEnter }: { value: string; onChange: (value: string) => void; onEnter: () => void }): JSX.Element {
  return <label className="card-number">{t("kiosk.identify.number")}<input autoFocus inputMode="numeric" autoComplete="off" maxLength={64} value={value} onChange={(event) => onChange(event.target.value.replace(/[^\w-]/g, ""))} onKeyDown={(event) => { if (event.key === "Enter") onEnter(); }} /></label>;
}

/** Sex and age, of whom nothing is known: the values that are usual depend on them. */
export function Person({ at, visit, onSay }: { at: "sex" | "age"; visit: Visit; onSay: (person: { sex: Sex; age_years: number }) => void }): JSX.Element {
  const [age, setAge] = useState(visit.person?.age_years ? String(visit.person.age_years) : "");
  const years = Number(age);
  const fine = Number.isInteger(years) && years >= 1 && years <= 122;
  if (at === "sex") return (
    <Sheet title={t("kiosk.sex.title")} help={t("kiosk.sex.help")}>
      <div className="choices two">
        {(["female", "male"] as const).map((sex) => <Big key={sex} onPress={() => onSay({ sex, age_years: visit.person?.age_years ?? 0 })}>{t(`kiosk.sex.${sex}`)}</Big>)}
      </div>
    </Sheet>
  );
  const done = (): void => { if (fine) onSay({ sex: visit.person!.sex, age_years: years }); };
  return (
    <Sheet title={t("kiosk.age.title")} actions={<Big kind="primary" disabled={!fine} onPress={done}>{t("kiosk.next")}</Big>}>
      <NumberPad label={t("kiosk.age.label")} unit={t("kiosk.age.unit")} decimals={0} value={age} onChange={setAge} onEnter={done} focus />
    </Sheet>
  );
}

/** What may be done with the values, each a switch in plain words. */
export function Consents({ place, visit, onSay }: { place: Place; visit: Visit; onSay: (consents: Record<string, boolean>) => void }): JSX.Element {
  const [consents, setConsents] = useState(() => Object.fromEntries(place.consent_texts.map(({ id }) => [id, visit.consents[id] ?? false])));
  const name = visit.identified?.name_hint;
  return (
    <Sheet title={name ? t("kiosk.consent.hello", { name }) : t("kiosk.consent.title")} help={t(visit.identified ? "kiosk.consent.help" : "kiosk.consent.later")}
      also={place.consent_texts.map((one) => `${text(one.title)}. ${text(one.text)}`).join(" ")}
      actions={<Big kind="primary" onPress={() => onSay(consents)}>{t("kiosk.next")}</Big>}>
      <div className="switches">
        {place.consent_texts.map((one) => (
          <Switch key={one.id} className="consent" isSelected={consents[one.id] ?? false} onChange={(on) => setConsents((before) => ({ ...before, [one.id]: on }))}>
            <span className="switch-words"><b>{text(one.title)}</b><span>{text(one.text)}</span></span>
            <span className="switch-state"><i className="knob" />{t(consents[one.id] ? "kiosk.consent.yes" : "kiosk.consent.no")}</span>
          </Switch>
        ))}
      </div>
      {!consents.store && <p className="said">{t("kiosk.consent.unkept")}</p>}
    </Sheet>
  );
}

/** A question with yes, no, and not knowing. */
export function Question({ column, onSay }: { column: string; onSay: (answer: boolean | null) => void }): JSX.Element {
  return (
    <Sheet title={t(`kiosk.question.${column}`)}>
      <div className="choices">
        <Big onPress={() => onSay(true)}>{t("kiosk.yes")}</Big>
        <Big onPress={() => onSay(false)}>{t("kiosk.no")}</Big>
        <Big kind="quiet" onPress={() => onSay(null)}>{t("kiosk.unsure")}</Big>
      </div>
    </Sheet>
  );
}

/** How long the goodbye stays: there is nothing of the person left to lose. */
const GOODBYE_MS = 20_000;

/** The end. Everything of the person is gone once it closes. */
export function Goodbye({ visit, onOver }: { visit: Visit; onOver: () => void }): JSX.Element {
  const over = useRef(onOver);
  over.current = onOver;
  useEffect(() => {
    const timer = setTimeout(() => over.current(), GOODBYE_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <Sheet title={t("kiosk.goodbye.title")} help={t(visit.outcome === "later" ? "kiosk.goodbye.later" : "kiosk.goodbye.help")} drawing={<Icon node={Check} size={160} />}
      actions={<Big kind="primary" onPress={onOver}>{t("kiosk.goodbye.done")}</Big>} />
  );
}

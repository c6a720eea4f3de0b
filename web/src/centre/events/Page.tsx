import { useEffect, useState, type JSX } from "react";
import { api } from "../../api";
import { t } from "../../i18n";
import { Waiting } from "../../office/parts";
import { reason } from "../../problems";
import { useShell } from "../../ui/page";
import "../../styles/centre-rules.css";
import "../../styles/centre-events.css";
import { ROOT } from "./data";
import { Desk } from "./Desk";
import { EventPage } from "./EventPage";
import { Raise } from "./Raise";
import type { CityEvent } from "./types";

const NUMBER = /^\d{4}-\d{4,}$/;

export function Page({ part }: { part: string }): JSX.Element {
  if (part === "new") return <Raise />;
  if (NUMBER.test(part)) return <Numbered key={part} number={part} />;
  return part ? <EventPage key={part} id={part} /> : <Desk />;
}

/** An event by its number, as the live map knows it: goes on to the event's own address. */
function Numbered({ number }: { number: string }): JSX.Element {
  const shell = useShell();
  const [problem, setProblem] = useState("");
  useEffect(() => {
    api.get<{ items: CityEvent[] }>(`${ROOT}/events?q=${number}&limit=20`).then(({ items }) => {
      const found = items.find((one) => one.number === number);
      if (found) shell.go(`/events/${found.id}`);
      else setProblem(t("centre.events.none"));
    }, (error: unknown) => setProblem(reason(error)));
  }, [number, shell]);
  return <div className="sheet-page"><Waiting problem={problem} /></div>;
}

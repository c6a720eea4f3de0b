import { lazy, Suspense, useState, type JSX } from "react";
import { Tab, TabList, TabPanel, Tabs } from "react-aria-components";
import { number } from "../format";
import { t } from "../i18n";
import { LISTS, useAsked, useShell } from "./data";
import { NewRequest } from "./NewRequest";
import { Answer, Purpose, useTitle } from "./parts";
import { RequestCard } from "./RequestCard";
import type { Case, Country, Request } from "./types";
import { word } from "./words";

const AreaMap = lazy(async () => ({ default: (await import("./AreaMap")).AreaMap }));
const STATES = ["asked", "approved", "answering", "answered", "refused", "withdrawn", "expired", "destroyed"] as const;
const LOOK_MS = 60_000;
const APPROVE = ["trace.approve.location", "trace.approve.card", "trace.approve.health"];

/** The area that a request names, on a map that is fetched only when one is looked at. */
export function Area({ area }: { area: NonNullable<Request["area"]> }): JSX.Element {
  return <Suspense fallback={<p className="hint">{t("office.loading")}</p>}><AreaMap area={area} /></Suspense>;
}

/** All requests: what the viewer may decide, and where every other one waits. */
export function Requests({ id }: { id: string }): JSX.Element {
  const shell = useShell();
  const decides = APPROVE.some((action) => shell.may(action));
  const [tab, setTab] = useState(decides && !id ? "inbox" : "tracker");
  const [state, setState] = useState("");
  const { data: country } = useAsked<Country>(LISTS, "/country");
  const inbox = useAsked<{ requests: Request[] } | Request[]>(LISTS, decides ? "/requests?mine=approve" : null, LOOK_MS);
  const tracker = useAsked<{ requests: Request[] } | Request[]>(LISTS, `/requests${state ? `?state=${state}` : ""}`, LOOK_MS);
  useTitle(t("trace.requests"));
  const waiting = listOf(inbox.data);
  const all = listOf(tracker.data);
  const changed = async (): Promise<void> => { await Promise.all([inbox.reload(), tracker.reload()]); };
  const list = (found: Request[] | undefined, asked: typeof tracker, none: string): JSX.Element => {
    if (!found) return <Answer asked={asked} />;
    const shown = id ? found.filter((one) => one.id === id) : found;
    return (
      <>
        {asked.problem && <p role="alert" className="problem">{asked.problem}</p>}
        {shown.length === 0 && <p className="hint">{none}</p>}
        <ul className="request-list">{shown.map((one) => <RequestCard key={one.id} one={one} country={country} changed={changed} scope={LISTS} full={shown.length === 1 || Boolean(id)} />)}</ul>
      </>
    );
  };
  return (
    <div className="sheet-page wide">
      <header className="page-head"><div><h1>{t("trace.requests")}</h1><Purpose scope={LISTS} /></div></header>
      <Tabs className="plain-tabs" selectedKey={tab} onSelectionChange={(key) => setTab(String(key))}>
        <TabList aria-label={t("trace.requests")}>
          {decides && <Tab id="inbox">{t("trace.inbox")}{waiting ? <small>{number(waiting.length)}</small> : null}</Tab>}
          <Tab id="tracker">{t("trace.tracker")}</Tab>
        </TabList>
        {decides && <TabPanel id="inbox">{list(waiting, inbox, t("trace.inbox.none"))}</TabPanel>}
        <TabPanel id="tracker">
          <div className="side-tools">
            <label className="field inline"><span>{t("handover.show")}</span>
              <select value={state} onChange={(event) => setState(event.target.value)}>
                <option value="">{t("handover.all")}</option>
                {STATES.map((one) => <option key={one} value={one}>{word("state", one)}</option>)}
              </select>
            </label>
          </div>
          {list(all, tracker, t("trace.requests.none"))}
        </TabPanel>
      </Tabs>
    </div>
  );
}

/** The requests of a case, and a form for another. */
export function CaseRequests({ one, changed }: { one: Case; changed: () => Promise<void> }): JSX.Element {
  const shell = useShell();
  const { data: country } = useAsked<Country>(one.id, "/country");
  const may = shell.may("trace.investigate") && one.status !== "closed" && one.status !== "destroyed";
  return (
    <section className="case-requests" aria-label={t("trace.requests")}>
      {may && country && <NewRequest one={one} country={country} changed={changed} />}
      {one.requests.length === 0 && <p className="hint">{t("trace.requests.noneYet")}</p>}
      <ul className="request-list">{one.requests.map((request) => <RequestCard key={request.id} one={request} country={country} changed={changed} scope={one.id} />)}</ul>
    </section>
  );
}

export function listOf(data: { requests: Request[] } | Request[] | undefined): Request[] | undefined {
  return Array.isArray(data) ? data : data?.requests;
}

import { useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { age, instantOf, number } from "../format";
import { t } from "../i18n";
import { Chip, Choice, FormDialog, type FieldOf } from "../office/parts";
import { reason as said } from "../problems";
import type { Course } from "./course";
import { ask, setPurpose, usePurpose, useShell } from "./data";
import { Lines, Probability } from "./parts";
import type { Case, Contact, Reason } from "./types";
import { lasting, placeName, span, word } from "./words";

const PAGE = 40;
const SHOWN = ["undecided", "accepted", "dismissed", "all"] as const;
type ShownState = (typeof SHOWN)[number];

const PERSON_FIELDS = (): FieldOf[] => [{ name: "name", label: t("trace.person.name") }, { name: "phone", label: t("trace.person.phone"), optional: true }, { name: "address", label: t("trace.person.address"), optional: true }];
const personOf = (data: FormData): Record<string, string> => Object.fromEntries(["name", "phone", "address"].map((name) => [name, String(data.get(name) ?? "").trim()]));
const stateOf = (one: Contact): ShownState => one.decision?.verdict ?? "undecided";

/** Who may have been exposed, likeliest first; each says why, and waits for a decision. */
export function ContactsTab({ id, course, contacts, changed, one, show }: { id: string; course: Course; contacts: Contact[]; changed: () => Promise<void>; one: Case; show: (rows: string[]) => void }): JSX.Element {
  const shell = useShell();
  const [shown, setShown] = useState<ShownState>("undecided");
  const [most, setMost] = useState(PAGE);
  const found = [...contacts].sort((a, b) => a.rank - b.rank).filter((contact) => shown === "all" || stateOf(contact) === shown);
  const may = shell.may("trace.investigate") && one.status !== "destroyed";
  const path = `/cases/${encodeURIComponent(id)}/contacts`;
  return (
    <section className="contacts" aria-label={t("trace.contacts")}>
      <div className="side-tools">
        <Choice name="shown" label={t("trace.contacts.show")} value={shown} onChange={(value) => { setShown(value as ShownState); setMost(PAGE); }} options={SHOWN.map((state) => [state, `${word("verdict", state)} (${number(state === "all" ? contacts.length : contacts.filter((contact) => stateOf(contact) === state).length)})`] as const)} />
        {may && (
          <FormDialog open={t("trace.contacts.add")} title={t("trace.contacts.add")} help={t("trace.contacts.addHelp")} submit={t("trace.contacts.add")} done={changed}
            fields={PERSON_FIELDS()}
            run={async (data) => void (await ask(id, path, "POST", { person: personOf(data) }))} />
        )}
      </div>
      {found.length === 0 && <p className="hint">{t("trace.contacts.none")}</p>}
      <ol className="contact-list">
        {found.slice(0, most).map((contact) => <ContactCard key={contact.id} id={id} path={path} course={course} contact={contact} may={may} changed={changed} disease={one.disease} show={show} />)}
      </ol>
      <Named id={id} path={path} one={one} may={may} changed={changed} />
      {found.length > most && <Button className="button" onPress={() => setMost(most + PAGE)}>{t("trace.more", { count: number(found.length - most) })}</Button>}
    </section>
  );
}

function ContactCard({ id, path, course, contact, may, changed, disease, show }: { id: string; path: string; course: Course; contact: Contact; may: boolean; changed: () => Promise<void>; disease: string; show: (rows: string[]) => void }): JSX.Element {
  const shell = useShell();
  const purpose = usePurpose(id) ?? "";
  const [failure, setFailure] = useState<unknown>();
  const { decision } = contact;
  const here = `${path}/${encodeURIComponent(contact.id)}`;
  const decide = (verdict: "accepted" | "dismissed") => async (data: FormData): Promise<void> => void (await ask(id, `${here}/decision`, "POST", { verdict, reason: String(data.get("reason")) }));
  async function undo(): Promise<void> {
    setFailure(undefined);
    try {
      await ask(id, `${here}/decision`, "POST", { verdict: "undecided", reason: "" });
      await changed();
    } catch (error) {
      setFailure(error);
    }
  }
  return (
    <li className="contact" data-verdict={decision?.verdict}>
      <div className="contact-head">
        <span className="rank"><span className="visually-hidden">{t("trace.rank")} </span>{contact.rank}</span>
        <div>
          <h2>{contact.subject}</h2>
          <p><Button className="link small" onPress={() => { course.look.value = { lon: contact.lon, lat: contact.lat, radius_m: 60 }; course.goTo(Date.parse(contact.start)); }}>{span(contact)}</Button> · {placeName(contact.place)}</p>
        </div>
        <Probability value={contact.probability} label={t("trace.ofExposure")} />
      </div>
      <p className="together">{t("trace.together", { time: lasting(contact.minutes) })}</p>
      <ul className="reasons">
        {contact.reasons.map((reason, index) => <li key={index}><ReasonLine reason={reason} course={course} show={show} /></li>)}
      </ul>
      {decision && <p className="decided"><Chip tone={decision.verdict === "accepted" ? "good" : undefined}>{word("verdict", decision.verdict)}</Chip> {decision.reason} <small>{decision.by} · {age(decision.at)}</small></p>}
      {failure !== undefined && <p role="alert" className="problem">{said(failure)}</p>}
      {may && (
        <div className="actions">
          {!decision && (
            <>
              <FormDialog open={t("trace.accept")} about={contact.subject} title={t("trace.acceptTitle", { name: contact.subject })} submit={t("trace.accept")} fields={[{ name: "reason", label: t("trace.reason") }]} run={decide("accepted")} done={changed} />
              <FormDialog open={t("trace.dismiss")} about={contact.subject} title={t("trace.dismissTitle", { name: contact.subject })} submit={t("trace.dismiss")} fields={[{ name: "reason", label: t("trace.reason") }]} run={decide("dismissed")} done={changed} />
            </>
          )}
          {decision && <Button className="button" aria-label={`${t("trace.undo")}: ${contact.subject}`} onPress={() => void undo()}>{t("trace.undo")}</Button>}
          {decision?.verdict === "accepted" && (
            <FormDialog open={t("trace.convert")} about={contact.subject} title={t("trace.convertTitle", { name: contact.subject })} help={t("trace.convertHelp")} submit={t("trace.convert")}
              fields={[...PERSON_FIELDS(), { name: "onset", label: t("trace.onset"), type: "date", optional: true }]}
              run={async (data) => {
                const made = await ask<{ id: string }>(id, `${here}/convert`, "POST", { new: { disease, person: personOf(data), onset: String(data.get("onset") ?? "") || null } });
                setPurpose(made.id, purpose);
                shell.go(`/trace/cases/${encodeURIComponent(made.id)}`);
              }} />
          )}
        </div>
      )}
    </li>
  );
}

/** The contacts that somebody named, who need no finding. */
function Named({ id, path, one, may, changed }: { id: string; path: string; one: Case; may: boolean; changed: () => Promise<void> }): JSX.Element | null {
  const shell = useShell();
  const purpose = usePurpose(id) ?? "";
  if (!one.named_contacts?.length) return null;
  return (
    <section aria-label={t("trace.contacts.named")}>
      <h2 className="list-head">{t("trace.contacts.named")}</h2>
      <ul className="contact-list">
        {one.named_contacts.map((contact) => (
          <li key={contact.id} className="contact">
            <h2>{contact.person.name}</h2>
            <p className="together">{[contact.person.phone, contact.person.address].filter(Boolean).join(" · ")}</p>
            {may && (
              <div className="actions">
                <FormDialog open={t("trace.convert")} about={contact.person.name ?? ""} title={t("trace.convertTitle", { name: contact.person.name ?? "" })} help={t("trace.convertHelp")} submit={t("trace.convert")} done={changed}
                  run={async () => {
                    const made = await ask<{ id: string }>(id, `${path}/${encodeURIComponent(contact.id)}/convert`, "POST", {});
                    setPurpose(made.id, purpose);
                    shell.go(`/trace/cases/${encodeURIComponent(made.id)}`);
                  }} />
              </div>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** One ground for a contact, and how to the rows behind it. */
function ReasonLine({ reason, course, show }: { reason: Reason; course: Course; show: (rows: string[]) => void }): JSX.Element {
  const there = reason.evidence.filter((one) => course.row(one));
  return (
    <>
      <b>{word("reason", reason.kind)}</b> <span>{reason.minutes ? lasting(reason.minutes) : ""} {span(reason)}</span>
      {reason.other_evidence ? <small> · {t("trace.theirRows", { count: number(reason.other_evidence) })}</small> : null}
      {there.length > 0 && <> · <Button className="link small" onPress={() => show(there)}>{t("trace.showRows", { count: number(there.length) })}</Button></>}
    </>
  );
}

/** What was said or seen, as the person who enters it. */
export function StatementForm({ id, changed }: { id: string; changed: () => Promise<void> }): JSX.Element {
  return (
    <FormDialog open={t("trace.statement.add")} title={t("trace.statement.add")} help={t("trace.statement.help")} submit={t("office.save")} done={changed}
      fields={[{ name: "start", label: t("trace.from"), type: "datetime-local" }, { name: "end", label: t("trace.to"), type: "datetime-local" }, { name: "lat", label: t("trace.latitude") }, { name: "lon", label: t("trace.longitude") }]}
      run={async (data) => {
        const at = (name: string): string | undefined => instantOf(String(data.get(name))); // the city's time, wherever the viewer is
        await ask(id, `/cases/${encodeURIComponent(id)}/statements`, "POST", { start: at("start"), end: at("end"), lat: Number(data.get("lat")), lon: Number(data.get("lon")), text: String(data.get("text") ?? ""), certainty: String(data.get("certainty")) });
      }}>
      <Choice name="certainty" label={t("trace.certainty")} options={[["sure", word("certainty", "sure")], ["unsure", word("certainty", "unsure")]]} />
      <Lines name="text" label={t("trace.statement.text")} />
    </FormDialog>
  );
}

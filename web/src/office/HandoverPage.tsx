import { useState, type JSX } from "react";
import { api } from "../api";
import { dateTime, exact, instantOf } from "../format";
import { hasMessage, t, text } from "../i18n";
import type { Room } from "../types";
import { Field } from "../ui/Field";
import { useLoaded } from "./data";
import type { PageProps } from "./Office";
import { Chip, Choice, DataTable, FormDialog, Pager, ReadDialog, Section, Waiting, WantsFactor } from "./parts";

interface Request {
  id: string;
  from: string;
  to: string;
  subject: string;
  kinds: string[];
  records: [kind: string, id: string][];
  blobs: [kind: string, id: string][];
  purpose: string;
  legal_basis: string;
  requested_by: string;
  state: string;
  until: string;
  timeline: { at: string; who: string; state: string; reason: string }[];
}

const STATES = ["requested", "approved", "delivered", "refused", "failed", "expired", "revoked"] as const;
const TONES: Record<string, "good" | "warn" | "bad"> = { requested: "warn", approved: "good", delivered: "good", refused: "bad", failed: "bad", revoked: "bad" };
const DAY_MS = 86_400_000;

function stateName(state: string): string {
  return hasMessage(`handover.state.${state}`) ? t(`handover.state.${state}`) : state;
}

/** What a request asks for, in words: whole kinds, single records and files. */
function contents({ kinds, records, blobs }: Request): string {
  return [...kinds, ...[...records, ...blobs].map(([kind, id]) => `${kind}/${id}`)].join(", ");
}

export function HandoverPage({ session, rooms, wants }: PageProps): JSX.Element {
  const [state, setState] = useState("");
  const [pages, setPages] = useState<number[]>([]);
  const before = pages.at(-1);
  const { data, problem, reload } = useLoaded<{ requests: Request[]; next: number | null }>(
    `/api/handover/v1/requests?state=${state}${before ? `&before=${before}` : ""}`, 5_000,
  );
  const called = (name: string): string => text(rooms.find((room) => room.name === name)?.title, name);
  const decides = (request: Request): boolean => rooms.some((room) => room.name === request.from && room.actions.includes("handover.approve"));
  const dialog = (request: Request, verb: "approve" | "refuse" | "revoke"): JSX.Element => (
    <FormDialog
      danger={verb !== "approve"} open={t(`handover.${verb}`)} about={request.purpose} title={t(`handover.${verb}Title`, { from: called(request.from), to: called(request.to) })}
      help={t(`handover.${verb}Help`, { what: contents(request), purpose: request.purpose, until: dateTime(request.until) })} submit={t(`handover.${verb}`)} done={reload}
      fields={[{ name: "reason", label: t("handover.reason"), help: t("handover.reasonHelp") }]}
      run={async (form) => void (await api.post(`/api/handover/v1/requests/${request.id}/${verb}`, { reason: form.get("reason") }))}
    />
  );
  const receiving = rooms.filter((room) => room.actions.includes("handover.request"));
  const older = data?.next;
  return (
    <>
      {(wants("handover.approve") || wants("handover.request")) && <WantsFactor />}
      <Section
        title={t("handover.requests")} help={t("handover.help")}
        actions={
          <>
            <Choice name="state" label={t("handover.show")} value={state} onChange={(next) => { setPages([]); setState(next); }}
              options={[["", t("handover.all")], ...STATES.map((one) => [one, stateName(one)] as const)]} />
            {receiving.length > 0 && <Ask rooms={rooms} receiving={receiving} done={reload} />}
          </>
        }
      >
        {problem && <p role="alert" className="problem">{problem}</p>}
        {!data && !problem && <Waiting problem="" />}
        {data && (
          <DataTable
            label={t("handover.requests")} empty={t(state ? "handover.noneSuch" : "handover.none")}
            head={[t("handover.way"), t("handover.state"), t("handover.what"), t("handover.why"), t("handover.by"), `-${t("office.actions")}`]}
            rows={data.requests.map((one) => ({
              key: one.id,
              cells: [
                <span key="way" className="wrap">{called(one.from)} → {called(one.to)}</span>, <Chip key="state" tone={TONES[one.state]}>{stateName(one.state)}</Chip>,
                <span key="what" className="long">{contents(one)}<small><code>{one.subject}</code></small></span>,
                <span key="why" className="long">{one.purpose}<small>{one.legal_basis}</small></span>,
                <span key="by">{one.requested_by}<small>{t("jobs.until", { at: dateTime(one.until) })}</small></span>,
                <span key="do" className="actions">
                  {one.state === "requested" && decides(one) && (one.requested_by === session.name ? <Chip>{t("handover.own")}</Chip> : dialog(one, "approve"))}
                  {one.state === "requested" && decides(one) && dialog(one, "refuse")}
                  {(one.state === "delivered" || one.state === "approved") && decides(one) && dialog(one, "revoke")}
                  <ReadDialog open={t("handover.course")} about={one.purpose} title={t("handover.courseTitle")}><Course id={one.id} /></ReadDialog>
                </span>,
              ],
            }))}
          />
        )}
        <Pager label={t("handover.requests")} newer={pages.length ? () => setPages(pages.slice(0, -1)) : undefined} older={older ? () => setPages([...pages, older]) : undefined} />
      </Section>
    </>
  );
}

/** What became of a request so far, who decided and why. */
function Course({ id }: { id: string }): JSX.Element {
  const { data, problem } = useLoaded<Request>(`/api/handover/v1/requests/${id}`);
  if (!data) return <Waiting problem={problem} />;
  return (
    <ol className="course">
      {data.timeline.map((event) => (
        <li key={event.at}><b>{stateName(event.state)}</b><span>{exact(event.at)} · {event.who}</span>{event.reason && <span>{event.reason}</span>}</li>
      ))}
    </ol>
  );
}

/** The form by which somebody asks for data of another room for theirs. */
function Ask({ rooms, receiving, done }: { rooms: Room[]; receiving: Room[]; done: () => Promise<void> }): JSX.Element {
  const options = (of: Room[]): [string, string][] => of.map((room) => [room.name, text(room.title, room.name)]);
  const [to, setTo] = useState(receiving[0]!.name);
  return (
    <FormDialog
      open={t("handover.ask")} title={t("handover.ask")} help={t("handover.askHelp")} submit={t("handover.send")} done={done}
      run={async (data) => {
        const given = (name: string): string => String(data.get(name) ?? "").trim();
        await api.post("/api/handover/v1/requests", {
          from: given("from"), to: given("to"), subject: given("subject"), kinds: given("kinds").split(/[\s,]+/).filter(Boolean),
          purpose: given("purpose"), legal_basis: given("legal_basis"), until: instantOf(given("until")),
        });
      }}
    >
      <div className="pair">
        <Choice name="from" label={t("handover.from")} options={options(rooms.filter((room) => room.name !== to))} />
        <Choice name="to" label={t("handover.to")} options={options(receiving)} value={to} onChange={setTo} />
      </div>
      <Field name="subject" label={t("audit.subject")} help={t("handover.subjectHelp")} spellCheck={false} autoCapitalize="off" />
      <Field name="kinds" label={t("handover.kinds")} help={t("handover.kindsHelp")} spellCheck={false} autoCapitalize="off" />
      <Field name="purpose" label={t("audit.purpose")} help={t("handover.purposeHelp")} />
      <Field name="legal_basis" label={t("handover.basis")} help={t("handover.basisHelp")} />
      <Field
        name="until" label={t("handover.until")} help={t("handover.untilHelp")} initial={exact(Date.now() + 7 * DAY_MS, false)}
        check={(value) => (instantOf(value) ? undefined : t("audit.badTime"))}
      />
    </FormDialog>
  );
}

import { Check, CircleAlert, Clock, Minus } from "lucide";
import { useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { api } from "../../api";
import { exact } from "../../format";
import { t, text } from "../../i18n";
import { useLoaded } from "../../office/data";
import { Choice, FormDialog, Section } from "../../office/parts";
import { reason } from "../../problems";
import type { Text } from "../../types";
import { Icon } from "../../ui/Icon";
import { useShell } from "../../ui/page";
import { person, ROOT, ticking, useClock, word } from "./data";
import type { CityEvent, Run, Step } from "./types";

/** Which permission does the steps of a role. */
const DOES: Record<string, string> = { operator: "centre.act", supervisor: "centre.rules", "cctv-officer": "centre.clips" };
const ACTIVE = ["open", "overdue", "failed"];

/** What is to be done about an event, step by step, with the time that is left. */
export function Procedure({ event, run, path, done }: { event: CityEvent; run: Run | null; path: string; done: () => Promise<void> }): JSX.Element {
  const shell = useShell();
  const at = useClock();
  if (!run) {
    return (
      <Section title={t("centre.events.procedure")} actions={shell.may("centre.act") && event.state !== "closed" && <Begin event={event} path={path} done={done} />}>
        <p className="hint">{t("centre.events.noProcedure")}</p>
      </Section>
    );
  }
  const settled = run.steps.filter((step) => ["done", "skipped"].includes(step.state)).length;
  return (
    <Section title={t("centre.events.procedure")} help={text(run.procedure.name)} actions={<span className="chip" data-tone={run.state === "finished" ? "good" : undefined}>{word("run", run.state)} {settled}/{run.steps.length}</span>}>
      <ol className="steps">
        {run.steps.map((step) => <StepView key={step.id} step={step} path={path} done={done} at={at} running={run.state === "running" && event.state !== "closed"} />)}
      </ol>
    </Section>
  );
}

function Begin({ event, path, done }: { event: CityEvent; path: string; done: () => Promise<void> }): JSX.Element {
  const { data } = useLoaded<{ items: { id: string; name: Text; categories?: string[] }[] }>(`${ROOT}/procedures`);
  const fits = (one: { categories?: string[] }): number => (one.categories?.includes(event.category) ? 0 : 1);
  const options = [...(data?.items ?? [])].sort((a, b) => fits(a) - fits(b)).map((one) => [one.id, text(one.name)] as const);
  return (
    <FormDialog open={t("centre.events.begin")} title={t("centre.events.begin")} submit={t("centre.events.begin")} done={done} run={async (given) => void await api.post(`${path}/procedure`, { procedure: given.get("procedure") })}>
      <Choice name="procedure" label={t("centre.events.procedure")} options={options} />
    </FormDialog>
  );
}

function StepView({ step, path, done, at, running }: { step: Step; path: string; done: () => Promise<void>; at: number; running: boolean }): JSX.Element {
  const shell = useShell();
  const [failure, setFailure] = useState("");
  const [busy, setBusy] = useState(false);
  const active = running && ACTIVE.includes(step.state);
  const does = shell.may(DOES[step.role] ?? "centre.act");
  const title = text(step.title);
  const send = async (deed: object): Promise<void> => {
    await api.post(`${path}/procedure/steps/${encodeURIComponent(step.id)}`, deed);
    await done();
  };
  async function act(deed: object): Promise<void> {
    setBusy(true);
    setFailure("");
    await send(deed).catch((error: unknown) => setFailure(reason(error)));
    setBusy(false);
  }
  return (
    <li className="step" data-state={step.state} aria-current={active ? "step" : undefined}>
      <span className="step-mark" aria-hidden="true"><Icon node={step.state === "done" ? Check : step.state === "skipped" ? Minus : ["overdue", "failed"].includes(step.state) ? CircleAlert : Clock} size={16} /></span>
      <div className="step-body">
        <header>
          <h3>{title}</h3>
          <span className="step-state">{word("step", step.state)}{active && step.due && <Countdown due={step.due} at={at} />}</span>
        </header>
        <p className="step-role">{word("stepKind", step.kind)} · {word("role", step.role)}{step.required && ` · ${t("centre.events.required")}`}{step.done_at && ` · ${exact(step.done_at)} ${person(step.done_by)}`}</p>
        {text(step.help) && <p className="help">{text(step.help)}</p>}
        {step.reason && <p className="help">{step.reason}</p>}
        {text(step.text) && <blockquote>{text(step.text)}</blockquote>}
        {step.agency && <p className="help">{t("centre.events.toAgency", { agency: word("agency", step.agency) })}{text(step.basis) && ` · ${text(step.basis)}`}</p>}
        {step.items.length > 0 && (
          <ul className="step-items">
            {step.items.map((item) => (
              <li key={item.id}><label><input type="checkbox" checked={item.done} disabled={!active || !does || busy} onChange={() => void act({ do: item.done ? "untick" : "tick", item: item.id })} /><span>{text(item.text)}</span></label>{item.at && <small>{exact(item.at).slice(11)} {item.by}</small>}</li>
            ))}
          </ul>
        )}
        {step.chosen && <p className="step-chosen"><Icon node={Check} size={15} />{text(step.options.find(({ id }) => id === step.chosen)?.text)}</p>}
        {step.receipt && (
          <dl className="receipt" data-state={step.receipt.state} aria-label={t("centre.events.receipt")}>
            <div><dt>{t("centre.events.receipt")}</dt><dd>{word("receipt", step.receipt.state)}</dd></div>
            <div><dt>{t("centre.events.agency")}</dt><dd>{word("agency", step.receipt.agency)}</dd></div>
            {step.receipt.reference && <div><dt>{t("centre.events.reference")}</dt><dd>{step.receipt.reference}</dd></div>}
            {step.receipt.at && <div><dt>{t("centre.events.at")}</dt><dd>{exact(step.receipt.at)}</dd></div>}
            {step.receipt.text && <div><dt>{t("centre.events.answer")}</dt><dd>{step.receipt.text}</dd></div>}
          </dl>
        )}
        {active && does && (
          <div className="row-buttons">
            {(step.kind === "task" || step.kind === "checklist") && <Button className="button primary small" aria-label={`${t("centre.events.done")}: ${title}`} isDisabled={busy || step.items.some((item) => !item.done)} onPress={() => void act({ do: "done" })}>{t("centre.events.done")}</Button>}
            {step.kind === "decision" && step.options.map((option) => <Button key={option.id} className="button small" isDisabled={busy} onPress={() => void act({ do: "choose", option: option.id })}>{text(option.text)}</Button>)}
            {(step.kind === "message" || step.kind === "handover") && <Button className="button primary small" aria-label={`${t("centre.events.send")}: ${title}`} isDisabled={busy || ["queued", "sent"].includes(step.receipt?.state ?? "")} onPress={() => void act({ do: "send" })}>{t("centre.events.send")}</Button>}
            {(!step.required || shell.may("centre.rules")) && <FormDialog open={t("centre.events.skip")} about={title} title={t("centre.events.skip")} submit={t("centre.events.skip")} fields={[{ name: "reason", label: t("centre.events.reason") }]} run={async (data) => send({ do: "skip", reason: data.get("reason") })} />}
          </div>
        )}
        <p role="alert" className="problem">{failure}</p>
      </div>
    </li>
  );
}

/** What is left until a step is due; how long it has been since, when it is past. */
function Countdown({ due, at }: { due: string; at: number }): JSX.Element {
  const left = Date.parse(due) - at;
  return <time role="timer" aria-live="off" dateTime={due} data-late={left < 0 || undefined}>{t(left < 0 ? "centre.events.late" : "centre.events.left", { time: ticking(left) })}</time>;
}

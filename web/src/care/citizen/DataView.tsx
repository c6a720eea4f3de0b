import { Download } from "lucide";
import { useState, type JSX } from "react";
import { Button, Switch } from "react-aria-components";
import { file } from "../../api";
import { dateTime } from "../../format";
import { t, text } from "../../i18n";
import { DataTable, FormDialog, Pager } from "../../office/parts";
import { reason } from "../../problems";
import { Field } from "../../ui/Field";
import { Icon } from "../../ui/Icon";
import { useShell, useTitle } from "../../ui/page";
import { ask, ROOT, useMine } from "./data";
import { forget } from "./kept";
import { OfflineNote, Part } from "./parts";
import { AboutMe } from "./Register";
import type { Allowed, Destruction, Look, Me } from "./types";
import { date } from "./words";

/** What one allows, who has looked, and what can be taken along or destroyed. */
export function DataView({ me, changed }: { me: Me; changed: () => Promise<void> }): JSX.Element {
  const [saved, setSaved] = useState(false);
  useTitle(t("health.data"));
  return (
    <>
      <h1>{t("health.data")}</h1>
      <Consents />
      <Looks />
      <Part title={t("health.aboutMe")} id="about-me" help={t("health.aboutMeHelp")}>
        <details><summary>{me.name} · {me.birth_date}</summary><AboutMe me={me} submit={t("health.save")} done={async () => { await changed(); setSaved(true); }} /></details>
        <p role="status" className="help">{saved && t("health.saved")}</p>
      </Part>
      <Taking />
      <Destroying me={me} changed={changed} />
    </>
  );
}

function Consents(): JSX.Element {
  const { data, problem, keptAt, reload } = useMine<{ consents: Allowed[] }>("/consents");
  const [failure, setFailure] = useState("");
  const [busy, setBusy] = useState("");
  const [said, setSaid] = useState("");
  async function change(one: Allowed, given: boolean): Promise<void> {
    setBusy(one.id);
    setFailure("");
    try {
      await ask("/consents", "PUT", { id: one.id, given });
      await reload();
      setSaid(t(given ? "health.nowOn" : "health.nowOff", { what: text(one.title) }));
    } catch (error) {
      setFailure(reason(error));
    } finally {
      setBusy("");
    }
  }
  return (
    <Part title={t("health.consents")} id="consents" help={t("health.consentsHelp")}>
      <OfflineNote keptAt={keptAt} />
      {(problem || failure) && <p role="alert" className="problem">{problem || failure}</p>}
      <p role="status" className="visually-hidden">{said}</p>
      <ul className="consents">
        {data?.consents.map((one) => (
          <li key={one.id}>
            <Switch className="consent-switch" isSelected={one.given} isDisabled={Boolean(keptAt) || busy === one.id} onChange={(given) => void change(one, given)} aria-describedby={`about-${one.id}`}>
              <span className="consent-title">{text(one.title)}</span>
              <span className="switch" aria-hidden="true" />
              <span className="consent-state">{t(one.given ? "health.on" : "health.off")}</span>
            </Switch>
            <div id={`about-${one.id}`}>
              <p>{text(one.text)}</p>
              <p className="help">{t(one.given ? "health.ifOff" : "health.isOff", { text: text(one.off) })}{one.since && ` (${t("health.since", { date: date(one.since) })})`}</p>
            </div>
          </li>
        ))}
      </ul>
    </Part>
  );
}

function Looks(): JSX.Element {
  const [before, setBefore] = useState<string[]>([]);
  const page = before[before.length - 1];
  const { data, problem } = useMine<{ looks: Look[]; next: string | null }>(page ? `/looks?before=${encodeURIComponent(page)}` : "/looks");
  return (
    <Part title={t("health.looks")} id="looks" help={t("health.looksHelp")}>
      {problem && <p role="alert" className="problem">{problem}</p>}
      {data && (
        <DataTable
          label={t("health.looks")} head={[t("health.day"), t("health.who"), t("health.whatSeen"), t("health.whatFor")]} empty={t("health.noLooks")}
          rows={data.looks.map((one, index) => ({ key: `${one.at} ${index}`, cells: [dateTime(one.at), <>{text(one.organisation)} <small>{one.who}</small></>, text(one.what), text(one.purpose)] }))}
        />
      )}
      <Pager label={t("health.looks")} newer={before.length ? () => setBefore(before.slice(0, -1)) : undefined} older={data?.next ? () => setBefore([...before, data.next!]) : undefined} />
    </Part>
  );
}

function Taking(): JSX.Element {
  const [problem, setProblem] = useState("");
  async function save(): Promise<void> {
    setProblem("");
    try {
      const address = URL.createObjectURL(await file(`${ROOT}/export`));
      Object.assign(document.createElement("a"), { href: address, download: `${t("health.fileName")}.json` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    } catch (error) {
      setProblem(reason(error));
    }
  }
  return (
    <Part title={t("health.take")} id="take" help={t("health.takeHelp")}>
      <Button className="button big" onPress={() => void save()}><Icon node={Download} />{t("health.takeNow")}</Button>
      {problem && <p role="alert" className="problem">{problem}</p>}
    </Part>
  );
}

/** Destroying takes two looks: what would go, and one's own name. */
function Destroying({ me, changed }: { me: Me; changed: () => Promise<void> }): JSX.Element {
  const shell = useShell();
  const [what, setWhat] = useState<Destruction>();
  const [problem, setProblem] = useState("");
  const [gone, setGone] = useState(false);
  return (
    <Part title={t("health.destroy")} id="destroy" help={t("health.destroyHelp")}>
      {problem && <p role="alert" className="problem">{problem}</p>}
      {!what && <Button className="button danger" onPress={() => ask<Destruction>("/destruction").then(setWhat, (error: unknown) => setProblem(reason(error)))}>{t("health.destroyFirst")}</Button>}
      {what && (
        <>
          <p>{t("health.destroyWhat", { records: what.records, visits: what.visits })}</p>
          <p>{t("health.destroyRemains")}</p>
          <ul className="remains">{what.remains.map((one) => <li key={text(one)}>{text(one)}</li>)}</ul>
          <FormDialog
            danger open={t("health.destroyAll")} title={t("health.destroyAll")} help={t("health.destroyType", { name: me.name })} submit={t("health.destroyNow")} stay={t("health.destroyKeep")}
            run={async (data) => {
              await ask("", "DELETE", { name: String(data.get("name")).trim(), records: what.records });
              await forget();
              setGone(true);
              return <p>{t("health.destroyed")}</p>;
            }}
            done={() => { if (gone) void changed().then(() => shell.go("/app/health")); }}
          >
            <Field name="name" label={t("health.name")} autoFocus check={(value) => (value.trim() === me.name ? undefined : t("health.notYourName"))} />
          </FormDialog>
        </>
      )}
    </Part>
  );
}

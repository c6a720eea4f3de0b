import { useState, type FormEvent, type JSX } from "react";
import { Button, Form } from "react-aria-components";
import { instantOf } from "../format";
import { t, text } from "../i18n";
import { Choice, Section } from "../office/parts";
import { reason } from "../problems";
import { Field } from "../ui/Field";
import { ask, LISTS, setPurpose, useAsked, usePurpose, useShell } from "./data";
import { Lines, To, useTitle } from "./parts";
import type { Case, CaseCard, Disease } from "./types";
import { diseaseName, word } from "./words";

const SEXES = ["female", "male", "other"] as const;
export const TESTS = ["pcr", "antigen", "igm"] as const;
export const RESULTS = ["positive", "negative", "inconclusive", "pending"] as const;

const past = (value: string): string | undefined => {
  const at = instantOf(value.slice(0, 10));
  return !at || !/^\d{4}-\d\d-\d\d$/.test(value) ? t("trace.badDate") : Date.parse(at) > Date.now() ? t("trace.futureDate") : undefined;
};

/** The symptoms of a disease's case definition, to tick. */
export function Symptoms({ of: disease, has = [] }: { of: Disease | undefined; has?: string[] }): JSX.Element | null {
  if (!disease?.symptoms?.length) return null;
  return (
    <fieldset className="boxes columns">
      <legend>{t("trace.symptoms")}</legend>
      {disease.symptoms.map(({ code, name }) => <label key={code}><input type="checkbox" name="symptom" value={code} defaultChecked={has.includes(code)} />{text(name)}</label>)}
    </fieldset>
  );
}

/** What is known of a new case. The same disease and day of onset as another open case gives a hint: perhaps it is there already. */
export function NewCase(): JSX.Element {
  const shell = useShell();
  const { data: diseases } = useAsked<Disease[]>(LISTS, "/diseases");
  const { data: known } = useAsked<{ cases: CaseCard[] }>(LISTS, "/cases");
  const [disease, setDisease] = useState("");
  const [onset, setOnset] = useState("");
  const [failure, setFailure] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  /** The case that was made, where somebody of the same name or number has one already. */
  const [also, setAlso] = useState<{ id: string; label: string; others: { id: string; label: string }[] }>();
  const purpose = usePurpose(LISTS) ?? "";
  useTitle(t("trace.new.title"));
  const chosen = disease || diseases?.[0]?.id || "";
  const alike = onset ? (known?.cases ?? []).filter((one) => one.disease === chosen && one.onset?.slice(0, 10) === onset) : [];

  async function send(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    const value = (name: string): string | null => String(given.get(name) ?? "").trim() || null;
    setBusy(true);
    setFailure(undefined);
    try {
      const codes = given.getAll("symptom").map(String);
      const made = await ask<Case & { duplicates: { case: string; exact: string[]; sounds: string[] }[] }>(LISTS, "/cases", "POST", {
        disease: chosen,
        person: { name: value("name"), birth_date: value("birth_date"), sex: value("sex"), phone: value("phone") ?? "", address: value("address") ?? "" },
        symptoms: codes.map((code) => ({ code, onset: value("onset") })),
        onset: value("onset"),
        lab: { test: value("test"), result: value("result"), sampled: value("sampled"), reported: value("reported") },
        notes: value("notes") ?? "",
      });
      setPurpose(made.id, purpose);
      if (made.duplicates.length === 0) return shell.go(`/trace/cases/${encodeURIComponent(made.id)}/requests`);
      const labels = new Map((await ask<{ cases: CaseCard[] }>(LISTS, "/cases?limit=500")).cases.map((one) => [one.id, one.label]));
      setAlso({ id: made.id, label: made.label, others: made.duplicates.map((one) => ({ id: one.case, label: labels.get(one.case) ?? one.case })) });
    } catch (error) {
      setFailure(error);
      setBusy(false);
    }
  }

  if (also) {
    return (
      <div className="sheet-page">
        <h1>{also.label}</h1>
        <p className="notice" role="alert">{t("trace.new.same")} {also.others.map((one) => <To key={one.id} path={`/trace/cases/${encodeURIComponent(one.id)}`}>{one.label}</To>)}</p>
        <p><To path={`/trace/cases/${encodeURIComponent(also.id)}/requests`} className="button primary">{t("trace.new.goOn", { label: also.label })}</To></p>
      </div>
    );
  }
  return (
    <div className="sheet-page">
      <header className="page-head"><div><p><To path="/trace">{t("trace.board")}</To></p><h1>{t("trace.new.title")}</h1></div></header>
      <Form className="new-case" onSubmit={(event) => void send(event as FormEvent<HTMLFormElement>)}>
        <Section title={t("trace.new.illness")}>
          <div className="fields">
            <Choice name="disease" label={t("trace.disease")} value={chosen} onChange={setDisease} options={(diseases ?? []).map((one) => [one.id, diseaseName(diseases, one.id)] as const)} />
            <Field name="onset" type="date" label={t("trace.onset")} check={past} onChange={setOnset} />
          </div>
          <Symptoms of={diseases?.find((one) => one.id === chosen)} />
          <div role="status">
            {alike.length > 0 && (
              <p className="notice">{t("trace.new.alike", { count: alike.length })} {alike.slice(0, 5).map((one) => <To key={one.id} path={`/trace/cases/${encodeURIComponent(one.id)}`}>{one.label}</To>)}</p>
            )}
          </div>
        </Section>
        <Section title={t("trace.new.person")} help={t("trace.new.personHelp")}>
          <div className="fields">
            <Field name="name" label={t("trace.person.name")} />
            <Field name="birth_date" type="date" label={t("trace.person.birth_date")} optional check={past} />
            <Choice name="sex" label={t("trace.person.sex")} options={[["", "–"], ...SEXES.map((one) => [one, word("sex", one)] as const)]} />
            <Field name="phone" type="tel" label={t("trace.person.phone")} optional check={(value) => (/^\+?[\d -]{7,20}$/.test(value) ? undefined : t("trace.badPhone"))} />
            <Field name="address" label={t("trace.person.address")} optional />
          </div>
        </Section>
        <Section title={t("trace.lab")}>
          <div className="fields">
            <Choice name="test" label={t("trace.lab.test")} options={TESTS.map((one) => [one, word("test", one)] as const)} />
            <Choice name="result" label={t("trace.lab.result")} options={RESULTS.map((one) => [one, word("result", one)] as const)} />
            <Field name="sampled" type="date" label={t("trace.lab.sampled")} optional check={past} />
            <Field name="reported" type="date" label={t("trace.lab.reported")} optional check={past} />
          </div>
          <Lines name="notes" label={t("trace.notes")} />
        </Section>
        <p role="alert" className="problem">{failure === undefined ? "" : reason(failure)}</p>
        <div className="dialog-end">
          <To path="/trace" className="button">{t("office.cancel")}</To>
          <Button type="submit" className="button primary" isDisabled={busy || !diseases}>{t("trace.new.save")}</Button>
        </div>
      </Form>
    </div>
  );
}

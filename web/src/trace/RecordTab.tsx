import type { JSX } from "react";
import { t, text } from "../i18n";
import { Choice, DataTable, FormDialog, Section } from "../office/parts";
import { exact, instantOf } from "../format";
import { Field } from "../ui/Field";
import { StatementForm } from "./ContactsTab";
import { ask, useShell } from "./data";
import { RESULTS, Symptoms, TESTS } from "./NewCase";
import { Lines } from "./parts";
import type { Case, Disease } from "./types";
import { when, word } from "./words";

const date = (value: string): string | undefined => (instantOf(value) ? undefined : t("trace.badDate"));

/** The record of a case: the person, symptoms, laboratory, notes, and what happened to it. */
export function RecordTab({ one, disease, changed }: { one: Case; disease: Disease | undefined; changed: () => Promise<void> }): JSX.Element {
  const shell = useShell();
  const path = `/cases/${encodeURIComponent(one.id)}`;
  const may = shell.may("trace.investigate") && one.status !== "destroyed";
  const { person, lab } = one;
  const symptom = (code: string): string => text(disease?.symptoms?.find((known) => known.code === code)?.name, word("symptom", code));
  return (
    <div className="record">
      <Section title={t("trace.person")} actions={may && (
        <FormDialog open={t("trace.edit")} about={t("trace.person")} title={t("trace.person")} submit={t("office.save")} done={changed}
          fields={(["name", "birth_date", "phone", "address"] as const).map((name) => ({ name, label: t(`trace.person.${name}`), optional: name !== "name", initial: person?.[name] ?? "", ...(name === "birth_date" && { type: "date" }) }))}
          run={async (data) => void (await ask(one.id, path, "PATCH", { person: { ...person, ...Object.fromEntries(["name", "birth_date", "phone", "address"].map((name) => [name, String(data.get(name) ?? "").trim() || (name === "birth_date" ? null : "")])) } }))} />
      )}>
        <dl className="facts">
          {(["name", "birth_date", "sex", "phone", "address"] as const).map((name) => person?.[name] && [<dt key={name}>{t(`trace.person.${name}`)}</dt>, <dd key={`${name}-`}>{name === "sex" ? word("sex", person.sex) : person[name]}</dd>])}
        </dl>
      </Section>
      <Section title={t("trace.new.illness")} actions={may && (
        <FormDialog open={t("trace.edit")} about={t("trace.new.illness")} title={t("trace.new.illness")} submit={t("office.save")} done={changed}
          run={async (data) => {
            const value = (name: string): string | null => String(data.get(name) ?? "").trim() || null;
            await ask(one.id, path, "PATCH", { onset: value("onset"), symptoms: data.getAll("symptom").map((code) => ({ code, onset: value("onset") })), lab: { test: value("test"), result: value("result"), sampled: value("sampled"), reported: value("reported") }, notes: value("notes") ?? "" });
          }}>
          <Field name="onset" type="date" label={t("trace.onset")} initial={one.onset?.slice(0, 10)} check={date} autoFocus />
          <Symptoms of={disease} has={one.symptoms.map(({ code }) => code)} />
          <div className="pair">
            <Choice name="test" label={t("trace.lab.test")} options={TESTS.map((test) => [test, word("test", test)] as const)} />
            <Choice name="result" label={t("trace.lab.result")} options={RESULTS.map((result) => [result, word("result", result)] as const)} />
            <Field name="sampled" type="date" label={t("trace.lab.sampled")} optional initial={lab?.sampled?.slice(0, 10)} check={date} />
            <Field name="reported" type="date" label={t("trace.lab.reported")} optional initial={lab?.reported?.slice(0, 10)} check={date} />
          </div>
          <Lines name="notes" label={t("trace.notes")} initial={one.notes} />
        </FormDialog>
      )}>
        <dl className="facts">
          <dt>{t("trace.onset")}</dt><dd>{when(one.onset)}</dd>
          <dt>{t("trace.symptoms")}</dt><dd>{one.symptoms.map(({ code }) => symptom(code)).join(", ") || "–"}</dd>
          <dt>{t("trace.lab")}</dt><dd>{lab ? [word("test", lab.test), word("result", lab.result), when(lab.reported)].filter((part) => part !== "–").join(" · ") : "–"}</dd>
          <dt>{t("trace.notes")}</dt><dd>{one.notes || "–"}</dd>
        </dl>
      </Section>
      {may && <Section title={t("trace.statement")} help={t("trace.statement.help")} actions={<StatementForm id={one.id} changed={changed} />}><span /></Section>}
      <Section title={t("trace.log")}>
        <DataTable label={t("trace.log")} empty={t("trace.noLog")} head={[t("audit.at"), t("audit.who"), t("audit.what")]} rows={[...one.log].reverse().map((entry, index) => ({ key: `${entry.at}/${index}`, cells: [exact(entry.at), entry.who, word("log", entry.what)] }))} />
      </Section>
    </div>
  );
}

import { useEffect, useRef, useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { api, Problem, request } from "../../api";
import { dateTime } from "../../format";
import { languageName, languages, t, text } from "../../i18n";
import { useLoaded } from "../../office/data";
import { Chip, FormDialog, ReadDialog, Section, Waiting } from "../../office/parts";
import { reason } from "../../problems";
import { To, useShell, useTitle } from "../../ui/page";
import { NearField, AreaField } from "./AreaField";
import { ConditionEditor } from "./ConditionEditor";
import { DryRun } from "./DryRun";
import { fresh, located, sent, slug, wanting, type Wrong } from "./edit";
import { NumberInput, SelectInput, SpanInput, TextInput, WrongContext } from "./fields";
import { ROOT, ruleOf, SEVERITIES, subjects, type Entry, type Rule, type Severity, type Version, type Vocabulary } from "./types";
import { summary } from "./words";

interface Procedures {
  items: { id: string; name?: Readonly<Record<string, string>>; title?: Readonly<Record<string, string>> }[];
}

/** One rule: to be read, changed, tried and kept. */
export function RulePage({ id }: { id: string }): JSX.Element {
  const { data: words, problem } = useLoaded<Vocabulary>(`${ROOT}/rules/vocabulary`);
  if (!words) return <Early problem={problem} />;
  return id === "new" ? <Editor words={words} entry={null} reload={() => Promise.resolve()} /> : <Known key={id} id={id} words={words} />;
}

function Known({ id, words }: { id: string; words: Vocabulary }): JSX.Element {
  const { data: entry, problem, reload } = useLoaded<Entry>(`${ROOT}/rules/${encodeURIComponent(id)}`);
  return entry ? <Editor words={words} entry={entry} reload={reload} /> : <Early problem={problem} />;
}

const Early = ({ problem }: { problem: string }): JSX.Element => <div className="sheet-page wide"><p><To path="/rules">{t("centre.rules.back")}</To></p><Waiting problem={problem} /></div>;

function blank(words: Vocabulary): Rule {
  return { id: "", name: {}, enabled: true, severity: "medium", category: words.categories[0]?.id ?? "other", when: fresh(words), where: null, group: "entity", for_s: 0, clear_s: 0, flap: { most: 3, in_s: 3600 } };
}

function Editor({ words, entry, reload }: { words: Vocabulary; entry: Entry | null; reload: () => Promise<void> }): JSX.Element {
  const shell = useShell();
  const [rule, setRule] = useState<Rule>(() => (entry ? ruleOf(entry) : blank(words)));
  const [ownId, setOwnId] = useState(false);
  const [wrong, setWrong] = useState<Wrong>();
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState("");
  const form = useRef<HTMLFormElement>(null);
  const { data: procedures } = useLoaded<Procedures>(`${ROOT}/procedures`);
  useTitle(text(rule.name) || t("centre.rules.new"));
  const set = (changes: Partial<Rule>): void => {
    setSaid("");
    setRule((before) => ({ ...before, ...changes }));
  };
  const setName = (tag: string, value: string): void => {
    const name = { ...rule.name, [tag]: value };
    set({ name, ...(entry || ownId ? {} : { id: slug(name.en ?? "") || slug(`rule-${rule.severity}-${subjects(rule.when)[0] ?? ""}`) }) });
  };

  /** Shows what is wrong where it is, and goes there. */
  function show(found: Wrong | undefined): void {
    setWrong(found);
    setProblem(found?.message ?? "");
  }
  useEffect(() => {
    if (wrong) form.current?.querySelector<HTMLElement>("[aria-invalid]")?.focus();
  }, [wrong]);
  // Turned on or off meanwhile: that is not what is being written here.
  const on = entry?.enabled;
  useEffect(() => {
    if (on !== undefined) setRule((before) => ({ ...before, enabled: on }));
  }, [on]);
  const ready = (): boolean => {
    const [first] = wanting(rule);
    show(first);
    return !first;
  };
  function failed(error: unknown): string {
    const clash = error instanceof Problem && error.status === 412;
    const found = clash && !entry ? { path: "id", message: t("centre.rules.taken") } : error instanceof Problem && error.status === 400 ? located(error.message) : undefined;
    const why = found?.message ?? (clash ? t("centre.rules.quicker") : reason(error));
    setWrong(found);
    setProblem(why);
    return why;
  }
  async function save(): Promise<void> {
    if (!ready()) return;
    setBusy(true);
    try {
      const body = sent(rule);
      const kept = entry
        ? await request<Entry | null>(`${ROOT}/rules/${encodeURIComponent(entry.id)}`, { method: "PUT", body: JSON.stringify(body), headers: { "content-type": "application/json", "if-match": `"${entry.version}"` } })
        : await api.post<Entry>(`${ROOT}/rules`, body);
      if (entry) {
        if (kept) setRule(ruleOf(kept));
        await reload();
        setSaid(t("centre.rules.saved"));
      } else shell.go(`/rules/${encodeURIComponent(kept?.id ?? body.id)}`);
    } catch (error) {
      failed(error);
    } finally {
      setBusy(false);
    }
  }
  const tags = [...new Set([shell.language, ...languages])];
  const about = subjects(rule.when);

  return (
    <WrongContext value={wrong}>
      <div className="sheet-page wide rule-page">
        <p><To path="/rules">{t("centre.rules.back")}</To></p>
        <header className="page-head">
          <div>
            <h1>{text(rule.name) || t("centre.rules.new")}</h1>
            {entry && <p className="help">{t("centre.rules.changedBy", { who: entry.changed_by, when: dateTime(entry.changed), version: entry.version })}</p>}
          </div>
          {entry && <Actions entry={entry} reload={reload} />}
        </header>
        <div className="rule-columns">
          <form ref={form} className="rule-form" noValidate aria-label={t("centre.rules.form")} onSubmit={(event) => { event.preventDefault(); void save(); }}>
            <Section title={t("centre.rules.what")}>
              <div className="fields">
                {tags.map((tag) => <TextInput key={tag} path={tag === shell.language ? "name" : `name.${tag}`} label={t("centre.rules.name", { language: languageName(tag) })} optional={tag !== shell.language} value={rule.name[tag] ?? ""} onChange={(value) => setName(tag, value)} />)}
                {!entry && <TextInput path="id" label={t("centre.rules.id")} value={rule.id} maxLength={64} onChange={(id) => { setOwnId(true); set({ id }); }} />}
                <SelectInput<Severity> path="severity" label={t("centre.rules.severityLabel")} value={rule.severity ?? "medium"} options={SEVERITIES.map((one) => [one, t(`centre.rules.severity.${one}`)])} onChange={(severity) => set({ severity })} />
                <SelectInput path="category" label={t("centre.rules.category")} value={rule.category ?? "other"} options={words.categories.map(({ id, title }) => [id, text(title, id)])} onChange={(category) => set({ category })} />
                <SelectInput path="procedure" label={t("centre.rules.procedure")} value={rule.procedure ?? ""} options={[["", t("centre.rules.noProcedure")], ...(procedures?.items ?? []).map(({ id, name, title }): [string, string] => [id, text(name ?? title, id)])]} onChange={(procedure) => set({ procedure: procedure || null })} />
              </div>
            </Section>
            <Section title={t("centre.rules.when")} help={t("centre.rules.whenHelp")}>
              <ConditionEditor at={rule.when} path="when" words={words} label={t("centre.rules.notice")} onChange={(when) => set({ when })} />
              {rule.when.kind !== "all" && rule.when.kind !== "any" && (
                <div className="actions">
                  <Button className="button small" onPress={() => set({ when: { kind: "all", of: [rule.when, fresh(words, about[0])] } })}>{t("centre.rules.addAnd")}</Button>
                  <Button className="button small" onPress={() => set({ when: { kind: "any", of: [rule.when, fresh(words, about[0])] } })}>{t("centre.rules.addOr")}</Button>
                </div>
              )}
            </Section>
            <Place rule={rule} set={set} />
            <Section title={t("centre.rules.how")} help={t("centre.rules.howHelp")}>
              <div className="fields">
                <SpanInput path="for_s" label={t("centre.rules.for")} value={rule.for_s ?? 0} onChange={(for_s) => set({ for_s })} />
                <SpanInput path="clear_s" label={t("centre.rules.clear")} value={rule.clear_s ?? 0} onChange={(clear_s) => set({ clear_s })} />
                <SelectInput<"entity" | "rule"> path="group" label={t("centre.rules.group")} value={rule.group ?? "entity"} options={[["entity", t("centre.rules.groupEntity")], ["rule", t("centre.rules.groupRule")]]} onChange={(group) => set({ group })} />
              </div>
              <div className="boxes"><label><input type="checkbox" checked={Boolean(rule.flap)} onChange={(event) => set({ flap: event.target.checked ? { most: 3, in_s: 3600 } : null })} />{t("centre.rules.damp")}</label></div>
              {rule.flap && (
                <div className="fields">
                  <NumberInput path="flap.most" label={t("centre.rules.flapMost")} min={1} max={100} value={rule.flap.most ?? 3} onChange={(most) => set({ flap: { ...rule.flap, most } })} />
                  <SpanInput path="flap.in_s" label={t("centre.rules.flapIn")} value={rule.flap.in_s ?? 3600} onChange={(in_s) => set({ flap: { ...rule.flap, in_s } })} />
                </div>
              )}
              <div className="fields">
                {tags.map((tag) => <TextInput key={tag} path={`title.${tag}`} label={t("centre.rules.title", { language: languageName(tag) })} optional value={rule.title?.[tag] ?? ""} onChange={(value) => set({ title: { ...rule.title, [tag]: value } })} />)}
              </div>
              <p className="help">{t("centre.rules.titleHelp", { name: "{name}", value: "{value}" })}</p>
            </Section>
          </form>
          <aside className="rule-summary" aria-label={t("centre.rules.summary")}>
            <h2>{t("centre.rules.summary")}</h2>
            <ul>{summary(rule, words).map((line) => <li key={line}>{line}</li>)}</ul>
            <p role="alert" className="problem">{problem}</p>
            <p role="status" className="saved">{said}</p>
            <Button className="button primary" isDisabled={busy} onPress={() => form.current?.requestSubmit()}>{t(entry ? "centre.rules.save" : "centre.rules.create")}</Button>
          </aside>
        </div>
        <DryRun rule={rule} words={words} ready={ready} failed={failed} />
      </div>
    </WrongContext>
  );
}

function Place({ rule, set }: { rule: Rule; set: (changes: Partial<Rule>) => void }): JSX.Element {
  const shell = useShell();
  const at = rule.where?.polygon ? "polygon" : rule.where?.near ? "near" : "anywhere";
  const pick = (to: string): void => set({ where: to === "polygon" ? { polygon: { type: "Polygon", coordinates: [[]] } } : to === "near" ? { near: shell.city.centre, radius_m: 1000 } : null });
  return (
    <Section title={t("centre.rules.where")}>
      <fieldset className="boxes choices">
        <legend className="visually-hidden">{t("centre.rules.where")}</legend>
        {(["anywhere", "polygon", "near"] as const).map((one) => <label key={one}><input type="radio" name="where" checked={at === one} onChange={() => pick(one)} />{t(`centre.rules.place.${one}`)}</label>)}
      </fieldset>
      {rule.where?.polygon && <AreaField path="where.polygon" value={rule.where.polygon} onChange={(polygon) => set({ where: { polygon } })} />}
      {rule.where?.near && <NearField near={rule.where.near} radius_m={rule.where.radius_m ?? NaN} onChange={(near, radius_m) => set({ where: { near, radius_m } })} />}
    </Section>
  );
}

function Actions({ entry, reload }: { entry: Entry; reload: () => Promise<void> }): JSX.Element {
  const shell = useShell();
  const [problem, setProblem] = useState("");
  const on = entry.enabled !== false;
  const path = `${ROOT}/rules/${encodeURIComponent(entry.id)}`;
  async function turn(): Promise<void> {
    try {
      await api.post(`${path}/${on ? "disable" : "enable"}`, {});
      setProblem("");
      await reload();
    } catch (error) {
      setProblem(reason(error));
    }
  }
  return (
    <div className="actions">
      <Chip tone={on ? "good" : undefined}>{t(on ? "centre.rules.on" : "centre.rules.off")}</Chip>
      <Button className="button" onPress={() => void turn()}>{t(on ? "centre.rules.disable" : "centre.rules.enable")}</Button>
      <ReadDialog open={t("centre.rules.versions")} title={t("centre.rules.versions")}><Versions id={entry.id} /></ReadDialog>
      <FormDialog open={t("centre.rules.delete")} about={text(entry.name)} title={t("centre.rules.deleteTitle", { name: text(entry.name) })} help={t("centre.rules.deleteHelp")} submit={t("centre.rules.delete")} danger run={async () => void (await api.delete(path))} done={() => shell.go("/rules")} />
      <p className="problem" role="alert">{problem}</p>
    </div>
  );
}

/** Who changed a rule when, newest first, with what it then said. */
function Versions({ id }: { id: string }): JSX.Element {
  const { data, problem } = useLoaded<{ items: Version[] }>(`${ROOT}/rules/${encodeURIComponent(id)}/versions`);
  const { data: words } = useLoaded<Vocabulary>(`${ROOT}/rules/vocabulary`);
  if (!data || !words) return <Waiting problem={problem} />;
  return (
    <ol className="course">
      {data.items.map((one) => (
        <li key={one.version}>
          <b>{t("centre.rules.version", { n: one.version })}</b>
          <span>{dateTime(one.changed)} · {one.changed_by}</span>
          <small>{one.rule ? summary(one.rule, words).join(" ") : t("centre.rules.deleted")}</small>
        </li>
      ))}
    </ol>
  );
}

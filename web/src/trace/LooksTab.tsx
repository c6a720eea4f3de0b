import { Download } from "lucide";
import { useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { exact } from "../format";
import { language, languageName, languages, t } from "../i18n";
import { Chip, Choice, DataTable, Section } from "../office/parts";
import { reason } from "../problems";
import { Icon } from "../ui/Icon";
import { download, useAsked } from "./data";
import { Answer } from "./parts";
import type { Look } from "./types";
import { word } from "./words";

/** Who looked at the case, when, and what for. This look is recorded, too. */
export function LooksTab({ id }: { id: string }): JSX.Element {
  const asked = useAsked<Look[] | { looks: Look[] }>(id, `/cases/${encodeURIComponent(id)}/looks`);
  if (!asked.data) return <Answer asked={asked} scope={id} />;
  const looks = Array.isArray(asked.data) ? asked.data : asked.data.looks;
  return (
    <Section title={t("trace.looks")} help={t("trace.looks.help")}>
      <DataTable
        label={t("trace.looks")} empty={t("search.none")} head={[t("audit.at"), t("audit.who"), t("audit.action"), t("audit.purpose"), t("audit.decision")]}
        rows={looks.map((look, index) => ({
          key: `${look.at}/${index}`,
          cells: [exact(look.at), look.who, <span key="what" className="long">{word("action", look.action)}</span>, look.purpose ? <span key="purpose" className="long">{look.purpose}</span> : "–", <Chip key="decision" tone={look.decision === "deny" ? "bad" : "good"}>{t(look.decision === "deny" ? "audit.deny" : "audit.allow")}</Chip>],
        }))}
      />
    </Section>
  );
}

/** The report of the investigation as PDF, in a language of choice. */
export function ReportTab({ id, label, ready }: { id: string; label: string; ready: boolean }): JSX.Element {
  const [tag, setTag] = useState(language.value);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>();
  async function fetchIt(): Promise<void> {
    setBusy(true);
    setFailure(undefined);
    try {
      await download(id, `/cases/${encodeURIComponent(id)}/report.pdf?lang=${tag}`, `${label}-${tag}.pdf`);
    } catch (error) {
      setFailure(error);
    } finally {
      setBusy(false);
    }
  }
  return (
    <Section title={t("trace.report")} help={t("trace.report.help")}>
      <div className="report-form">
        <Choice name="lang" label={t("menu.language")} value={tag} onChange={setTag} options={languages.map((one) => [one, languageName(one)] as const)} />
        <Button className="button primary" isDisabled={busy || !ready} onPress={() => void fetchIt()}><Icon node={Download} size={16} />{t(busy ? "trace.report.busy" : "trace.report.fetch")}</Button>
      </div>
      {!ready && <p className="help">{t("trace.noResults")}</p>}
      {failure !== undefined && <p role="alert" className="problem">{reason(failure)}</p>}
    </Section>
  );
}

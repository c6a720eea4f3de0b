import { Plus } from "lucide";
import type { JSX } from "react";
import "../../styles/centre-rules.css";
import { age, dateTime } from "../../format";
import { t, text } from "../../i18n";
import { useLoaded } from "../../office/data";
import { Chip, DataTable, Section, Waiting } from "../../office/parts";
import { Icon } from "../../ui/Icon";
import { To, useTitle } from "../../ui/page";
import { RulePage } from "./RulePage";
import { ROOT, type Entry, type Vocabulary } from "./types";
import { sentence, severityName } from "./words";

const EVERY_MS = 20_000;
const TONES = { informational: undefined, low: undefined, medium: "warn", high: "bad", critical: "bad" } as const;

export function Page({ part }: { part: string }): JSX.Element {
  return part ? <RulePage key={part} id={part} /> : <RulesPage />;
}

/** All rules: what they notice, whether they are on and hold now, and who wrote them last. */
function RulesPage(): JSX.Element {
  const { data, problem } = useLoaded<{ items: Entry[] }>(`${ROOT}/rules`, EVERY_MS);
  const { data: words } = useLoaded<Vocabulary>(`${ROOT}/rules/vocabulary`);
  useTitle(t("centre.rules.rules"));
  return (
    <div className="sheet-page wide rules-page">
      <header className="page-head">
        <div><h1>{t("centre.rules.rules")}</h1><p className="help">{t("centre.rules.help")}</p></div>
        <To path="/rules/new" className="button primary"><Icon node={Plus} size={16} />{t("centre.rules.new")}</To>
      </header>
      <Section title={t("centre.rules.list")}>
        {!data || !words ? <Waiting problem={problem} /> : (
          <DataTable
            label={t("centre.rules.list")} empty={t("centre.rules.none")}
            head={[t("centre.rules.rule"), t("centre.rules.severityLabel"), t("centre.rules.state"), t("centre.rules.lastFired"), t("centre.rules.changed")]}
            rows={data.items.map((rule) => ({
              key: rule.id,
              cells: [
                <span className="long"><To path={`/rules/${encodeURIComponent(rule.id)}`}>{text(rule.name, rule.id)}</To><small>{sentence(rule.when, words)}</small></span>,
                <Chip tone={TONES[rule.severity ?? "medium"]}>{severityName(rule)}</Chip>,
                <span className="chips"><Chip tone={rule.enabled === false ? undefined : "good"}>{t(rule.enabled === false ? "centre.rules.off" : "centre.rules.on")}</Chip>{rule.raised ? <Chip tone="bad">{t("centre.rules.raised", { n: rule.raised })}</Chip> : null}</span>,
                rule.last ? <time dateTime={rule.last} title={dateTime(rule.last)}>{age(rule.last)}</time> : "–",
                <span className="wrap">{rule.ready && rule.version === 1 ? t("centre.rules.ready") : rule.changed_by}<small><time dateTime={rule.changed}>{dateTime(rule.changed)}</time></small></span>,
              ],
            }))}
          />
        )}
      </Section>
    </div>
  );
}

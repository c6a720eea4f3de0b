import { useMemo, useRef, useState, type JSX, type KeyboardEvent } from "react";
import { ToggleButton, ToggleButtonGroup } from "react-aria-components";
import { day, number } from "../format";
import { t } from "../i18n";
import { Choice, DataTable, Section } from "../office/parts";
import { swatch } from "../ui/swatch";
import { LISTS, useAsked } from "./data";
import { layout, type Node } from "./graph";
import { Answer, Probability, Purpose, To, useTitle } from "./parts";
import type { Chain, Disease } from "./types";
import { useWidth } from "./width";
import { diseaseName, percent, when, word } from "./words";

const DAY_MS = 86_400_000;
const LANE_PX = 30;
const HEAD_PX = 34;
const [LEAST_DAY_PX, MOST_DAY_PX] = [26, 110];
const LABEL_PX = 130;
/** Clusters' colours (Okabe and Ito 2008, told apart by the colour-blind), darkened or lightened by the stylesheet's theme where needed. */
const CLUSTERS = ["#0072b2", "#b35900", "#008f68", "#b0487f", "#5b5ea6", "#7a6a00", "#2f7f95", "#a23b2a"];
const clusterColour = (index: number): string => (index < 0 ? "#7a8694" : CLUSTERS[index % CLUSTERS.length]!);

/** Who probably infected whom, over the days of onset; a probability, not a verdict. */
export function ChainPage(): JSX.Element {
  const [disease, setDisease] = useState("");
  const [view, setView] = useState("graph");
  const [least, setLeast] = useState("0.1");
  const [picked, setPicked] = useState<string | null>(null);
  const { data: diseases } = useAsked<Disease[]>(LISTS, "/diseases");
  const chosen = disease || diseases?.[0]?.id || "";
  const asked = useAsked<Chain>(LISTS, chosen ? `/chain?disease=${encodeURIComponent(chosen)}` : null);
  useTitle(t("trace.chain"));
  const chain = asked.data;
  return (
    <div className="sheet-page wide">
      <header className="page-head"><div><h1>{t("trace.chain")}</h1><p className="help">{t("trace.chain.help")}</p><Purpose scope={LISTS} /></div></header>
      <div className="side-tools">
        <Choice name="disease" label={t("trace.disease")} value={chosen} onChange={setDisease} options={(diseases ?? []).map((one) => [one.id, diseaseName(diseases, one.id)] as const)} />
        <Choice name="least" label={t("trace.chain.least")} value={least} onChange={setLeast} options={["0.02", "0.1", "0.25", "0.5"].map((share) => [share, percent(Number(share))] as const)} />
        <ToggleButtonGroup className="segments" aria-label={t("table.view")} selectionMode="single" disallowEmptySelection selectedKeys={[view]} onSelectionChange={(keys) => { const [next] = keys; if (next) setView(String(next)); }}>
          <ToggleButton id="graph" className="segment">{t("trace.chain.graph")}</ToggleButton>
          <ToggleButton id="table" className="segment">{t("table.table")}</ToggleButton>
        </ToggleButtonGroup>
      </div>
      {!chain && <Answer asked={asked} />}
      {chain && chain.cases.length === 0 && <p className="hint">{t("trace.chain.none")}</p>}
      {chain && chain.cases.length > 0 && (
        <div className="chain">
          {view === "graph" ? <Graph chain={chain} least={Number(least)} picked={picked} pick={setPicked} /> : <LinkTable chain={chain} least={Number(least)} />}
          {picked && view === "graph" && <Sources chain={chain} id={picked} />}
          <Clusters chain={chain} pick={(id) => { setView("graph"); setPicked(id); }} />
        </div>
      )}
    </div>
  );
}

function Graph({ chain, least, picked, pick }: { chain: Chain; least: number; picked: string | null; pick: (id: string) => void }): JSX.Element {
  const { nodes, edges, first, last } = useMemo(() => layout(chain, least), [chain, least]);
  const box = useRef<HTMLDivElement>(null);
  const shown = useWidth(box);
  const count = Math.max(6, (last - first) / DAY_MS + 1);
  const dayPx = Math.max(LEAST_DAY_PX, Math.min(MOST_DAY_PX, (shown - LABEL_PX - 30) / count));
  const width = LABEL_PX + 24 + count * dayPx;
  const height = HEAD_PX + nodes.length * LANE_PX + 12;
  const x = (node: Node): number => 24 + ((node.onset - first) / DAY_MS) * dayPx;
  const y = (node: Node): number => HEAD_PX + (node.lane + 0.5) * LANE_PX;
  const days = Array.from({ length: Math.floor((last - first) / DAY_MS) + 1 }, (_, index) => first + index * DAY_MS);
  const each = Math.max(1, Math.ceil(62 / dayPx));
  const sources = (id: string): number => chain.links.filter((link) => link.infectee === id).length;
  const keys = (event: KeyboardEvent<SVGGElement>, node: Node): void => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      pick(node.id);
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const next = step && nodes[node.lane + step];
    if (!next) return;
    event.preventDefault();
    pick(next.id);
    event.currentTarget.parentElement?.querySelector<SVGGElement>(`[data-lane="${next.lane}"]`)?.focus();
  };
  return (
    <div ref={box} className="graph" tabIndex={0} role="group" aria-label={t("trace.chain.label", { cases: number(nodes.length), links: number(edges.length) })}>
      <svg width={width} height={height}>
        {days.map((at, index) => (
          <g key={at} aria-hidden="true">
            <line className="day-line" x1={24 + index * dayPx} x2={24 + index * dayPx} y1={HEAD_PX - 8} y2={height} />
            {index % each === 0 && <text x={24 + index * dayPx} y={16} textAnchor="middle">{day(at)}</text>}
          </g>
        ))}
        {edges.map((edge) => {
          const [x1, y1, x2, y2] = [x(edge.from), y(edge.from), x(edge.to), y(edge.to)];
          const on = picked === edge.to.id || picked === edge.from.id;
          return (
            <path
              key={`${edge.from.id}/${edge.to.id}`} className="edge" data-on={on || undefined} data-off={(picked !== null && !on) || undefined} data-best={edge.rank === 1 || undefined} aria-hidden="true" fill="none"
              stroke={clusterColour(edge.to.cluster)} strokeWidth={0.8 + 6 * edge.probability} d={`M${x1},${y1} C${x1},${(y1 + 3 * y2) / 4} ${x1},${y2} ${x2 + (x2 < x1 ? 7 : -7)},${y2}`}
            />
          );
        })}
        {nodes.map((node) => (
          <g
            key={node.id} className="node" data-lane={node.lane} data-on={picked === node.id || undefined} tabIndex={0} role="button" aria-pressed={picked === node.id} transform={`translate(${x(node)} ${y(node)})`}
            aria-label={t("trace.chain.node", { label: node.label, date: day(node.onset), count: number(sources(node.id)) })} onClick={() => pick(node.id)} onKeyDown={(event) => keys(event, node)}
          >
            <circle r={11} className="ring" /><circle r={7} fill={clusterColour(node.cluster)} /><text x={15} y={4}>{node.label}</text>
          </g>
        ))}
      </svg>
    </div>
  );
}

const labelOf = (chain: Chain, id: string): string => (id === "imported" ? t("trace.imported") : (chain.cases.find((one) => one.id === id)?.label ?? id));

/** Who may have infected the picked case, likeliest first, and why. */
function Sources({ chain, id }: { chain: Chain; id: string }): JSX.Element {
  const links = chain.links.filter((link) => link.infectee === id).sort((a, b) => a.rank - b.rank).slice(0, 8);
  return (
    <Section title={t("trace.chain.sources", { label: labelOf(chain, id) })} actions={<To path={`/trace/cases/${encodeURIComponent(id)}`} className="button">{t("trace.openCase")}</To>}>
      <div role="status">
        <ul className="sources">
          {links.map((link) => (
            <li key={link.infector}><span>{labelOf(chain, link.infector)}</span><Probability value={link.probability} /><small>{(link.reasons ?? []).map((one) => word("reason", typeof one === "string" ? one : one.kind)).join(", ")}</small></li>
          ))}
        </ul>
      </div>
      {links.length === 0 && <p className="hint">{t("trace.chain.noSources")}</p>}
    </Section>
  );
}

function LinkTable({ chain, least }: { chain: Chain; least: number }): JSX.Element {
  const onset = new Map(chain.cases.map((one) => [one.id, one.onset]));
  const rows = chain.links.filter((link) => link.probability >= least).sort((a, b) => (onset.get(a.infectee) ?? "").localeCompare(onset.get(b.infectee) ?? "") || a.rank - b.rank);
  return (
    <Section title={t("trace.chain.links")}>
      <DataTable label={t("trace.chain.links")} empty={t("trace.chain.noSources")} head={[t("trace.chain.infectee"), t("trace.onset"), t("trace.chain.infector"), t("trace.probability"), t("trace.chain.why")]}
        rows={rows.map((link) => ({
          key: `${link.infectee}/${link.infector}`,
          cells: [<To key="to" path={`/trace/cases/${encodeURIComponent(link.infectee)}`}>{labelOf(chain, link.infectee)}</To>, when(onset.get(link.infectee)), labelOf(chain, link.infector), <Probability key="p" value={link.probability} />, (link.reasons ?? []).map((one) => word("reason", typeof one === "string" ? one : one.kind)).join(", ") || "–"],
        }))} />
    </Section>
  );
}

function Clusters({ chain, pick }: { chain: Chain; pick: (id: string) => void }): JSX.Element | null {
  if (chain.clusters.length === 0) return null;
  return (
    <Section title={t("trace.clusters")}>
      <ul className="clusters">
        {chain.clusters.map((cluster, index) => (
          <li key={cluster.id}>
            <p><span className="dot" style={swatch(clusterColour(index))} aria-hidden="true" /><b>{t("trace.cluster", { number: index + 1 })}</b> {t("trace.clusterLine", { count: number(cluster.cases.length), share: percent(cluster.probability) })}</p>
            <p className="members">{cluster.cases.map((id) => <button key={id} type="button" className="link small" onClick={() => pick(id)}>{labelOf(chain, id)}</button>)}</p>
          </li>
        ))}
      </ul>
    </Section>
  );
}

import type { Chain } from "./types";

export interface Node {
  id: string;
  label: string;
  /** Milliseconds. */
  onset: number;
  cluster: number;
  lane: number;
}

export interface Edge {
  from: Node;
  to: Node;
  probability: number;
  rank: number;
}

/**
 * Lays a chain out by time: a lane for every case, those whom a case probably infected below it, clusters together. Links whose
 * infector is not in the list are left to the table.
 */
export function layout(chain: Chain, least: number): { nodes: Node[]; edges: Edge[]; first: number; last: number } {
  const cases = chain.cases.filter((one) => one.onset !== null);
  const clusterOf = new Map(chain.clusters.flatMap((cluster, index) => cluster.cases.map((id) => [id, index] as const)));
  const nodes = new Map(cases.map((one) => [one.id, { id: one.id, label: one.label, onset: Date.parse(one.onset!), cluster: clusterOf.get(one.id) ?? -1, lane: 0 } satisfies Node]));
  const best = new Map<string, { infector: string; probability: number }>();
  for (const link of chain.links) {
    const known = best.get(link.infectee);
    if (nodes.has(link.infector) && nodes.has(link.infectee) && link.infector !== link.infectee && (!known || link.probability > known.probability)) best.set(link.infectee, link);
  }
  const children = new Map<string, Node[]>();
  for (const [infectee, { infector, probability }] of best) if (probability >= least) children.set(infector, [...(children.get(infector) ?? []), nodes.get(infectee)!]);
  const byOnset = (a: Node, b: Node): number => a.onset - b.onset || a.label.localeCompare(b.label);
  const roots = [...nodes.values()].filter((node) => !best.has(node.id) || best.get(node.id)!.probability < least).sort((a, b) => a.cluster - b.cluster || byOnset(a, b));
  let lane = 0;
  const seen = new Set<string>();
  const walk = (node: Node): void => {
    if (seen.has(node.id)) return;
    seen.add(node.id);
    node.lane = lane++;
    for (const child of (children.get(node.id) ?? []).sort(byOnset)) walk(child);
  };
  for (const root of roots) walk(root);
  for (const node of [...nodes.values()].sort(byOnset)) walk(node); // what is left is in a circle of links
  const edges = chain.links.flatMap((link): Edge[] => {
    const [from, to] = [nodes.get(link.infector), nodes.get(link.infectee)];
    return from && to && from !== to && link.probability >= least ? [{ from, to, probability: link.probability, rank: link.rank }] : [];
  });
  const onsets = [...nodes.values()].map((node) => node.onset);
  return { nodes: [...nodes.values()].sort((a, b) => a.lane - b.lane), edges, first: Math.min(...onsets), last: Math.max(...onsets) };
}

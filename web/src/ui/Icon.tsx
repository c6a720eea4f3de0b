import { createElement, type JSX } from "react";
import type { IconNode } from "lucide";

/** A lucide icon; decorative, so whatever holds it needs words of its own. */
export function Icon({ node, size = 18 }: { node: IconNode; size?: number }): JSX.Element {
  return (
    <svg
      width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth={2} strokeLinecap="round"
      strokeLinejoin="round" aria-hidden="true" focusable="false"
    >
      {node.map(([tag, attributes], index) => createElement(tag, { key: index, ...attributes }))}
    </svg>
  );
}

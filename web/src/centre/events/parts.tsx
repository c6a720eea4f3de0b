import { ChevronsUp } from "lucide";
import type { JSX } from "react";
import { exact } from "../../format";
import { t } from "../../i18n";
import { Icon } from "../../ui/Icon";
import { word } from "./data";
import type { CityEvent, Severity } from "./types";

/** How grave something is, in words and colour. */
export function Grade({ severity }: { severity: Severity }): JSX.Element {
  return <span className="grade" data-severity={severity}>{word("severity", severity)}</span>;
}

export function Escalated({ event }: { event: CityEvent }): JSX.Element | null {
  if (!event.escalated) return null;
  const { to, at } = event.escalated;
  return <span className="chip" data-tone="bad" title={at ? exact(at) : undefined}><Icon node={ChevronsUp} size={14} />{t("centre.events.escalated", { to: word("role", to) })}</span>;
}

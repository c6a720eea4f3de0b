import { useId, type JSX, type ReactNode } from "react";
import { t } from "../i18n";
import { Choice, FormDialog } from "../office/parts";
import { ask } from "./data";
import type { OverrideKind } from "./types";
import { word } from "./words";

const HARD: ReadonlySet<OverrideKind> = new Set(["cancel", "out-of-service", "unassign"]);

/** A button that overrides the engine, for a reason that is recorded. */
export function Override({ kind, about, van, request, vans, stops, done, children }: {
  kind: OverrideKind;
  /** The van or the ride, in words. */
  about: string;
  van?: string;
  request?: string;
  /** The vans to choose among, where one is to be chosen. */
  vans?: readonly (readonly [id: string, name: string])[];
  stops?: readonly (readonly [id: string, name: string])[];
  done?: () => void;
  children?: ReactNode;
}): JSX.Element {
  const list = useId();
  return (
    <FormDialog
      open={word("override", kind)} about={about} title={t("ride.overrideTitle", { what: word("override", kind), about })} help={t(`ride.overrideHelp.${kind}`)} submit={word("override", kind)} {...(kind === "cancel" ? { stay: t("ride.leaveIt") } : {})} danger={HARD.has(kind)}
      fields={[{ name: "reason", label: t("ride.overrideReason") }]}
      run={async (data) => {
        const chosen = (name: string): string | undefined => (data.get(name) as string | null) || undefined;
        await ask("/override", "POST", {
          kind, reason: String(data.get("reason")).trim(), ...(request ? { request } : {}),
          ...(van ?? chosen("van") ? { van: van ?? chosen("van") } : {}), ...(chosen("stop") ? { stop: chosen("stop") } : {}),
        });
      }}
      {...(done ? { done } : {})}
    >
      {vans && <Choice key={list} name="van" label={t("ride.van")} options={[...vans]} />}
      {stops && <Choice name="stop" label={t("ride.stop")} options={[...stops]} />}
      {children}
    </FormDialog>
  );
}

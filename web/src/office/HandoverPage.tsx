import { useState, type JSX } from "react";
import { api } from "../api";
import { dateTime } from "../format";
import { hasMessage, t } from "../i18n";
import { useLoaded } from "./data";
import type { PageProps } from "./Office";
import { Chip, DataTable, FormDialog, Section } from "./parts";

interface Request {
  id: string;
  from: string;
  to: string;
  subject: string;
  purpose: string;
  legal_basis: string;
  requested_by: string;
  state: string;
  until: string;
}

const STATES = ["", "requested", "approved", "delivered", "refused", "failed", "expired", "revoked"] as const;
const TONES: Record<string, "good" | "warn" | "bad"> = { requested: "warn", approved: "good", delivered: "good", refused: "bad", failed: "bad", revoked: "bad" };

function stateName(state: string): string {
  return hasMessage(`handover.state.${state}`) ? t(`handover.state.${state}`) : state;
}

export function HandoverPage({ session, may }: PageProps): JSX.Element {
  const [state, setState] = useState("");
  const { data, problem, reload } = useLoaded<{ requests: Request[] }>(`/api/handover/v1/requests${state ? `?state=${state}` : ""}`, 10_000);
  const act = (id: string, verb: string) => async (form: FormData): Promise<void> => {
    await api.post(`/api/handover/v1/requests/${encodeURIComponent(id)}/${verb}`, { reason: form.get("reason") });
    await reload();
  };
  const why = [{ name: "reason", label: t("handover.reason") }];
  return (
    <Section
      title={t("handover.requests")} help={t("handover.help")}
      actions={
        <label className="field"><span>{t("handover.show")}</span>
          <select value={state} onChange={(event) => setState(event.target.value)}>
            {STATES.map((one) => <option key={one} value={one}>{one ? stateName(one) : t("handover.all")}</option>)}
          </select>
        </label>
      }
    >
      <p role="alert" className="problem">{problem}</p>
      {data && (
        <DataTable
          label={t("handover.requests")} empty={t("handover.none")}
          head={[t("handover.way"), t("handover.state"), t("audit.subject"), t("audit.purpose"), t("handover.basis"), t("handover.by"), t("handover.until"), ""]}
          rows={data.requests.map((one) => ({
            key: one.id,
            cells: [
              `${one.from} → ${one.to}`, <Chip key="state" tone={TONES[one.state]}>{stateName(one.state)}</Chip>, <code key="subject">{one.subject}</code>,
              one.purpose, one.legal_basis, one.requested_by, dateTime(one.until),
              <span key="do" className="actions">
                {one.state === "requested" && one.requested_by !== session.name && may("handover.approve") && (
                  <>
                    <FormDialog open={t("handover.approve")} title={t("handover.approveTitle", { from: one.from, to: one.to })} help={one.purpose} submit={t("handover.approve")} fields={why} run={act(one.id, "approve")} />
                    <FormDialog danger open={t("handover.refuse")} title={t("handover.refuseTitle")} help={one.purpose} submit={t("handover.refuse")} fields={why} run={act(one.id, "refuse")} />
                  </>
                )}
                {(one.state === "delivered" || one.state === "approved") && may("handover.approve") && (
                  <FormDialog danger open={t("handover.revoke")} title={t("handover.revokeTitle")} help={t("handover.revokeHelp")} submit={t("handover.revoke")} fields={why} run={act(one.id, "revoke")} />
                )}
              </span>,
            ],
          }))}
        />
      )}
    </Section>
  );
}

import type { JSX } from "react";
import { api } from "../api";
import { age, dateTime } from "../format";
import { t } from "../i18n";
import { RoleBoxes, roleTitle, type Role } from "./AccountsPage";
import { useLoaded } from "./data";
import type { PageProps } from "./Office";
import { Chip, DataTable, FormDialog, Secret, Section, Waiting, WantsFactor } from "./parts";

interface Client {
  id: string;
  name: string;
  kind: "oauth" | "key";
  roles: string[];
  created: string;
  expires: string | null;
  last_used: string | null;
}

interface Made {
  id: string;
  kind: Client["kind"];
  secret: string;
}

export function ClientsPage({ may }: PageProps): JSX.Element {
  return may("accounts.manage") ? <Clients /> : <WantsFactor />;
}

function Clients(): JSX.Element {
  const { data: clients, problem, reload } = useLoaded<Client[]>("/api/clients");
  const { data: roles } = useLoaded<{ roles: Role[] }>("/api/policy/v1/roles");
  if (!clients) return <Waiting problem={problem} />;
  const shown = (made: Made): JSX.Element => (
    <>
      {made.kind === "oauth" && <Secret label={t("clients.id")} value={made.id} open />}
      <Secret label={t(made.kind === "oauth" ? "clients.secret" : "clients.key")} value={made.secret} />
    </>
  );
  return (
    <Section
      title={t("clients.machines")} help={t("clients.help")}
      actions={
        <FormDialog
          open={t("clients.add")} title={t("clients.add")} submit={t("clients.add")} fields={[{ name: "name", label: t("sign.name"), help: t("clients.nameHelp") }]} done={reload}
          run={async (data) => shown(await api.post<Made>("/api/clients", {
            name: String(data.get("name")).trim(), kind: data.get("kind"), roles: data.getAll("role"), days: Number(data.get("days")),
          }))}
        >
          <fieldset className="boxes">
            <legend>{t("clients.kind")}</legend>
            <label><input type="radio" name="kind" value="key" defaultChecked />{t("clients.key")}<span className="help">{t("clients.keyHelp")}</span></label>
            <label><input type="radio" name="kind" value="oauth" />{t("clients.oauth")}<span className="help">{t("clients.oauthHelp")}</span></label>
          </fieldset>
          <label className="field"><span>{t("clients.days")}</span><input type="number" name="days" min={1} max={1825} defaultValue={365} required /></label>
          <RoleBoxes roles={roles?.roles ?? []} />
        </FormDialog>
      }
    >
      {problem && <p role="alert" className="problem">{problem}</p>}
      <DataTable
        label={t("clients.machines")} empty={t("clients.none")}
        head={[t("sign.name"), t("clients.kind"), t("account.roles"), t("clients.expires"), t("account.lastUsed"), `-${t("office.actions")}`]}
        rows={clients.map((one) => ({
          key: one.id,
          cells: [
            one.name,
            t(one.kind === "key" ? "clients.key" : "clients.oauth"),
            <span key="roles" className="chips">{one.roles.map((role) => <Chip key={role}>{roleTitle(roles?.roles, role)}</Chip>)}</span>,
            one.expires ? <Expiry key="expires" at={one.expires} /> : "–",
            one.last_used ? age(one.last_used) : "–",
            <span key="do" className="actions">
              <FormDialog open={t("clients.rotate")} about={one.name} title={t("clients.rotateName", { name: one.name })} help={t("clients.rotateHelp")} submit={t("clients.rotate")} done={reload}
                run={async () => shown(await api.post<Made>(`/api/clients/${encodeURIComponent(one.id)}/rotate`, {}))} />
              <FormDialog danger open={t("account.remove")} about={one.name} title={t("accounts.removeName", { name: one.name })} help={t("clients.removeHelp")} submit={t("account.remove")} done={reload}
                run={async () => void (await api.delete(`/api/clients/${encodeURIComponent(one.id)}`))} />
            </span>,
          ],
        }))}
      />
    </Section>
  );
}

function Expiry({ at }: { at: string }): JSX.Element {
  return Date.parse(at) < Date.now() ? <Chip tone="bad">{t("clients.expired", { at: dateTime(at) })}</Chip> : <>{dateTime(at)}</>;
}

import type { JSX } from "react";
import { api } from "../api";
import { age, dateTime } from "../format";
import { t } from "../i18n";
import { RoleBoxes, roleTitle, type Role } from "./AccountsPage";
import { useLoaded } from "./data";
import type { PageProps } from "./Office";
import { Chip, DataTable, FormDialog, Secret, Section } from "./parts";

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
  secret: string;
}

export function ClientsPage(_: PageProps): JSX.Element {
  const { data: clients, problem, reload } = useLoaded<Client[]>("/api/clients");
  const { data: roles } = useLoaded<{ roles: Role[] }>("/api/policy/v1/roles");
  if (!clients) return <p className={problem ? "problem" : "hint"} role={problem ? "alert" : "status"}>{problem || t("app.loading")}</p>;
  const shown = (made: Made): JSX.Element => <><Secret label={t("clients.id")} value={made.id} /><Secret label={t("clients.secret")} value={made.secret} /></>;
  return (
    <Section
      title={t("clients.machines")} help={t("clients.help")}
      actions={
        <FormDialog
          open={t("clients.add")} title={t("clients.add")} submit={t("clients.add")} fields={[{ name: "name", label: t("sign.name") }]}
          run={async (data) => {
            const made = await api.post<Made>("/api/clients", {
              name: data.get("name"), kind: data.get("kind"), roles: data.getAll("role"), days: Number(data.get("days")),
            });
            await reload();
            return shown(made);
          }}
        >
          <fieldset className="boxes">
            <legend>{t("clients.kind")}</legend>
            <label><input type="radio" name="kind" value="key" defaultChecked />{t("clients.key")}</label>
            <label><input type="radio" name="kind" value="oauth" />{t("clients.oauth")}</label>
          </fieldset>
          <label className="field"><span>{t("clients.days")}</span><input type="number" name="days" min={1} max={1825} defaultValue={365} required /></label>
          <RoleBoxes roles={roles?.roles ?? []} />
        </FormDialog>
      }
    >
      <DataTable
        label={t("clients.machines")} empty={t("clients.none")}
        head={[t("sign.name"), t("clients.kind"), t("account.roles"), t("clients.expires"), t("account.lastUsed"), ""]}
        rows={clients.map((one) => ({
          key: one.id,
          cells: [
            one.name,
            t(one.kind === "key" ? "clients.key" : "clients.oauth"),
            <span key="roles" className="chips">{one.roles.map((role) => <Chip key={role}>{roleTitle(roles?.roles, role)}</Chip>)}</span>,
            one.expires ? dateTime(one.expires) : "–",
            one.last_used ? age(one.last_used) : "–",
            <span key="do" className="actions">
              <FormDialog open={t("clients.rotate")} title={t("clients.rotateName", { name: one.name })} help={t("clients.rotateHelp")} submit={t("clients.rotate")} run={async () => {
                const made = await api.post<Made>(`/api/clients/${encodeURIComponent(one.id)}/rotate`, {});
                await reload();
                return shown(made);
              }} />
              <FormDialog danger open={t("account.remove")} title={t("accounts.removeName", { name: one.name })} submit={t("account.remove")} run={async () => {
                await api.delete(`/api/clients/${encodeURIComponent(one.id)}`);
                await reload();
              }} />
            </span>,
          ],
        }))}
      />
    </Section>
  );
}

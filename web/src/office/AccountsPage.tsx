import type { JSX } from "react";
import { api } from "../api";
import { age } from "../format";
import { t, text } from "../i18n";
import type { Text } from "../types";
import { useLoaded } from "./data";
import type { PageProps } from "./Office";
import { Chip, DataTable, FormDialog, Secret, Section } from "./parts";

interface Account {
  name: string;
  title: string;
  roles: string[];
  kind: string;
  locked: boolean;
  second_factor: boolean;
  last_sign_in: string | null;
}

export interface Role {
  name: string;
  title: Text;
}

export function AccountsPage({ session, may }: PageProps): JSX.Element {
  const { data: accounts, problem, reload } = useLoaded<Account[]>("/api/accounts");
  const { data: roles } = useLoaded<{ roles: Role[] }>("/api/policy/v1/roles");
  const manage = may("accounts.manage");
  if (!accounts) return <p className={problem ? "problem" : "hint"} role={problem ? "alert" : "status"}>{problem || t("app.loading")}</p>;
  const change = async (name: string, body: unknown): Promise<void> => {
    await api.patch(`/api/accounts/${encodeURIComponent(name)}`, body);
    await reload();
  };
  const link = (made: { setup_link: string }): JSX.Element => <Secret label={t("accounts.link")} value={made.setup_link} />;
  return (
    <Section
      title={t("accounts.people")} help={t("accounts.help")}
      actions={manage && (
        <FormDialog open={t("accounts.add")} title={t("accounts.add")} help={t("accounts.addHelp")} submit={t("accounts.add")} fields={[{ name: "name", label: t("sign.name") }]} run={async (data) => {
          const made = await api.post<{ setup_link: string }>("/api/accounts", { name: data.get("name"), roles: data.getAll("role") });
          await reload();
          return link(made);
        }}>
          <RoleBoxes roles={roles?.roles ?? []} />
        </FormDialog>
      )}
    >
      <DataTable
        label={t("accounts.people")} empty={t("accounts.none")}
        head={[t("sign.name"), t("account.roles"), t("accounts.state"), t("accounts.lastSignIn"), ""]}
        rows={accounts.map((one) => ({
          key: one.name,
          cells: [
            one.title ? `${one.title} (${one.name})` : one.name,
            <span key="roles" className="chips">{one.roles.map((role) => <Chip key={role}>{roleTitle(roles?.roles, role)}</Chip>)}</span>,
            <span key="state" className="chips">
              {one.locked && <Chip tone="bad">{t("accounts.locked")}</Chip>}
              <Chip tone={one.second_factor ? "good" : "warn"}>{t(one.second_factor ? "accounts.secondFactor" : "accounts.passwordOnly")}</Chip>
            </span>,
            one.last_sign_in ? age(one.last_sign_in) : "–",
            <span key="do" className="actions">
              {one.name !== session.name && manage && (
                <FormDialog open={t("accounts.roles")} title={t("accounts.rolesOf", { name: one.name })} submit={t("office.save")} run={(data) => change(one.name, { roles: data.getAll("role") })}>
                  <RoleBoxes roles={roles?.roles ?? []} has={one.roles} />
                </FormDialog>
              )}
              {one.name !== session.name && (manage || may("accounts.lock")) && (
                <FormDialog danger={!one.locked} open={t(one.locked ? "accounts.unlock" : "accounts.lock")} title={t(one.locked ? "accounts.unlockName" : "accounts.lockName", { name: one.name })} submit={t(one.locked ? "accounts.unlock" : "accounts.lock")} run={() => change(one.name, { locked: !one.locked })} />
              )}
              {manage && (
                <FormDialog open={t("accounts.newLink")} title={t("accounts.newLinkFor", { name: one.name })} help={t("accounts.newLinkHelp")} submit={t("account.continue")} run={async () => link(await api.post(`/api/accounts/${encodeURIComponent(one.name)}/setup-link`, {}))} />
              )}
              {one.name !== session.name && manage && (
                <FormDialog danger open={t("account.remove")} title={t("accounts.removeName", { name: one.name })} submit={t("account.remove")} run={async () => {
                  await api.delete(`/api/accounts/${encodeURIComponent(one.name)}`);
                  await reload();
                }} />
              )}
            </span>,
          ],
        }))}
      />
    </Section>
  );
}

export function roleTitle(roles: Role[] | undefined, name: string): string {
  return text(roles?.find((role) => role.name === name)?.title, name);
}

export function RoleBoxes({ roles, has = [] }: { roles: Role[]; has?: string[] }): JSX.Element {
  return (
    <fieldset className="boxes">
      <legend>{t("account.roles")}</legend>
      {roles.map((role) => (
        <label key={role.name}><input type="checkbox" name="role" value={role.name} defaultChecked={has.includes(role.name)} />{text(role.title, role.name)}</label>
      ))}
    </fieldset>
  );
}

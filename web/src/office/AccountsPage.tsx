import type { JSX } from "react";
import { api } from "../api";
import { age } from "../format";
import { t, text } from "../i18n";
import type { Text } from "../types";
import { useLoaded } from "./data";
import type { PageProps } from "./Office";
import { Chip, DataTable, FormDialog, Secret, Section, Waiting, WantsFactor } from "./parts";

interface Account {
  name: string;
  title: string;
  roles: string[];
  provider: boolean;
  locked: boolean;
  second_factor: boolean;
  last_sign_in: string | null;
}

export interface Role {
  name: string;
  title: Text;
}

export function AccountsPage({ session, may, wants }: PageProps): JSX.Element {
  const { data: accounts, problem, reload } = useLoaded<Account[]>("/api/accounts");
  const { data: roles } = useLoaded<{ roles: Role[] }>("/api/policy/v1/roles");
  const manage = may("accounts.manage");
  if (!accounts) return <Waiting problem={problem} />;
  const path = (name: string): string => `/api/accounts/${encodeURIComponent(name)}`;
  const link = (made: { setup_link: string }): JSX.Element => <Secret label={t("accounts.link")} value={made.setup_link} />;
  return (
    <>
      {wants("accounts.manage") && <WantsFactor />}
      <Section
        title={t("accounts.people")} help={t("accounts.help")}
        actions={manage && (
          <FormDialog
            open={t("accounts.add")} title={t("accounts.add")} help={t("accounts.addHelp")} submit={t("accounts.add")} fields={[{ name: "name", label: t("sign.name") }]} done={reload}
            run={async (data) => link(await api.post("/api/accounts", { name: String(data.get("name")).trim(), roles: data.getAll("role") }))}
          >
            <RoleBoxes roles={roles?.roles ?? []} />
          </FormDialog>
        )}
      >
        {problem && <p role="alert" className="problem">{problem}</p>}
        <DataTable
          label={t("accounts.people")} empty={t("accounts.none")}
          head={[t("sign.name"), t("account.roles"), t("accounts.state"), t("accounts.lastSignIn"), `-${t("office.actions")}`]}
          rows={accounts.map((one) => {
            const other = one.name !== session.name;
            return {
              key: one.name,
              cells: [
                one.title ? `${one.title} (${one.name})` : one.name,
                <span key="roles" className="chips">{one.roles.map((role) => <Chip key={role}>{roleTitle(roles?.roles, role)}</Chip>)}{one.roles.length === 0 && "–"}</span>,
                <span key="state" className="chips">
                  {one.locked && <Chip tone="bad">{t("accounts.locked")}</Chip>}
                  <Chip tone={one.second_factor ? "good" : undefined}>{t(one.provider ? "accounts.provider" : one.second_factor ? "accounts.secondFactor" : "accounts.passwordOnly")}</Chip>
                </span>,
                one.last_sign_in ? age(one.last_sign_in) : "–",
                <span key="do" className="actions">
                  {!other && <Chip>{t("accounts.you")}</Chip>}
                  {other && (manage || may("accounts.entrust")) && !one.provider && (
                    <FormDialog open={t("accounts.roles")} about={one.name} title={t("accounts.rolesOf", { name: one.name })} help={t("accounts.rolesHelp")} submit={t("office.save")} done={reload}
                      run={async (data) => void (await api.patch(path(one.name), { roles: data.getAll("role") }))}>
                      <RoleBoxes roles={roles?.roles ?? []} has={one.roles} />
                    </FormDialog>
                  )}
                  {other && manage && !one.provider && (
                    <FormDialog open={t("accounts.newLink")} about={one.name} title={t("accounts.newLinkFor", { name: one.name })} help={t("accounts.newLinkHelp")} submit={t("accounts.makeLink")} done={reload}
                      run={async () => link(await api.post(`${path(one.name)}/setup-link`, {}))} />
                  )}
                  {other && (manage || may("accounts.lock")) && (
                    <FormDialog danger={!one.locked} open={t(one.locked ? "accounts.unlock" : "accounts.lock")} about={one.name} title={t(one.locked ? "accounts.unlockName" : "accounts.lockName", { name: one.name })}
                      help={t(one.locked ? "accounts.unlockHelp" : "accounts.lockHelp")} submit={t(one.locked ? "accounts.unlock" : "accounts.lock")} done={reload}
                      run={async () => void (await api.patch(path(one.name), { locked: !one.locked }))} />
                  )}
                  {other && manage && (
                    <FormDialog danger open={t("account.remove")} about={one.name} title={t("accounts.removeName", { name: one.name })} help={t("accounts.removeHelp")} submit={t("account.remove")} done={reload}
                      run={async () => void (await api.delete(path(one.name)))} />
                  )}
                </span>,
              ],
            };
          })}
        />
      </Section>
    </>
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

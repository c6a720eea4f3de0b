import { useEffect, useState, type JSX } from "react";
import { api } from "../api";
import { age, dateTime } from "../format";
import { t } from "../i18n";
import { createPasskey, passkeysWork } from "../passkeys";
import { reason } from "../problems";
import { Field } from "../ui/Field";
import { roleTitle, type Role } from "./AccountsPage";
import { useLoaded } from "./data";
import type { PageProps } from "./Office";
import { Chip, DataTable, FormDialog, Section, Waiting } from "./parts";

interface Account {
  name: string;
  title: string;
  roles: string[];
  /** Whether an OpenID Connect provider keeps the account. */
  provider: boolean;
  totp: boolean;
  passkeys: { id: string; title: string; created: string; last_used: string | null }[];
  recovery_codes_left: number;
  sessions: { id: string; started: string; seen: string; address: string; agent: string; current: boolean }[];
}

/** What asks for a second factor, in the order of how many have it. */
const SENSITIVE = ["accounts.manage", "handover.approve", "handover.request", "vault.read", "vault.write", "vault.find", "vault.destroy"];

export function AccountPage({ session, wants, refresh }: PageProps): JSX.Element {
  const { data: account, problem, reload } = useLoaded<Account>("/api/account");
  // A new factor counts as shown: the session may now do more.
  const added = async (): Promise<void> => void (await Promise.all([reload(), refresh()]));
  const { data: roles } = useLoaded<{ roles: Role[] }>("/api/policy/v1/roles");
  if (!account) return <Waiting problem={problem} />;
  const password = { name: "password", label: t("account.confirm"), type: "password", autoComplete: "current-password" };
  return (
    <>
      <Section title={t("account.you")}>
        <dl className="facts">
          <dt>{t("sign.name")}</dt><dd>{account.title || account.name}</dd>
          <dt>{t("account.roles")}</dt><dd>{account.roles.map((role) => <Chip key={role}>{roleTitle(roles?.roles, role)}</Chip>)}</dd>
          <dt>{t("account.signedIn")}</dt><dd>{t(session.second_factor ? "account.withSecond" : "account.withoutSecond")}</dd>
        </dl>
        {account.provider ? <p className="help">{t("account.provided")}</p> : (
          <div className="actions">
            <FormDialog
              open={t("account.changePassword")} title={t("account.changePassword")} help={t("account.passwordHelp")} submit={t("office.save")}
              fields={[
                { name: "old", label: t("account.oldPassword"), type: "password", autoComplete: "current-password" },
                { name: "new", label: t("account.newPassword"), type: "password", autoComplete: "new-password" },
              ]}
              run={async (data) => void (await api.put("/api/account/password", { old: data.get("old"), new: data.get("new") }))}
              done={reload}
            />
          </div>
        )}
      </Section>

      {!account.provider && (
        <Section title={t("account.second")} help={t("account.secondHelp")}>
          {SENSITIVE.some(wants) && <p className="notice">{t("account.wanted")}</p>}
          <div className="factor">
            <div><h3>{t("account.totp")}</h3><p className="help">{t("account.totpHelp")}</p></div>
            <Chip tone={account.totp ? "good" : undefined}>{t(account.totp ? "account.on" : "account.off")}</Chip>
            {account.totp ? (
              <FormDialog danger open={t("account.remove")} about={t("account.totp")} title={t("account.removeTotp")} submit={t("account.remove")} fields={[password]} done={reload}
                run={async (data) => void (await api.delete("/api/account/totp", { password: data.get("password") }))} />
            ) : <AddTotp done={added} />}
          </div>
          <div className="factor">
            <div><h3>{t("account.passkeys")}</h3><p className="help">{t("account.passkeysHelp")}</p></div>
            <Chip tone={account.passkeys.length ? "good" : undefined}>{account.passkeys.length ? t("account.count", { count: account.passkeys.length }) : t("account.off")}</Chip>
            {passkeysWork && (
              <FormDialog open={t("account.addPasskey")} title={t("account.addPasskey")} help={t("account.addPasskeyHelp")} submit={t("account.continue")} fields={[{ name: "title", label: t("account.passkeyName") }]} done={added} run={async (data) => {
                const options = await api.post<PublicKeyCredentialCreationOptionsJSON>("/api/account/passkeys/options", {});
                const made = await api.post<{ recovery_codes?: string[] }>("/api/account/passkeys", { title: data.get("title"), credential: await createPasskey(options) });
                return made.recovery_codes ? <Codes codes={made.recovery_codes} /> : undefined;
              }} />
            )}
          </div>
          {account.passkeys.length > 0 && (
            <DataTable
              label={t("account.passkeys")} empty="" head={[t("account.passkeyName"), t("account.created"), t("account.lastUsed"), `-${t("office.actions")}`]}
              rows={account.passkeys.map((key) => ({
                key: key.id,
                cells: [key.title, dateTime(key.created), key.last_used ? age(key.last_used) : "–",
                  <FormDialog key="remove" danger open={t("account.remove")} about={key.title} title={t("account.removePasskey", { name: key.title })} help={t("account.removePasskeyHelp")} submit={t("account.remove")} done={reload}
                    run={async () => void (await api.delete(`/api/account/passkeys/${encodeURIComponent(key.id)}`))} />],
              }))}
            />
          )}
          {(account.totp || account.passkeys.length > 0) && (
            <div className="factor">
              <div><h3>{t("account.recovery")}</h3><p className="help">{t("account.recoveryHelp")}</p></div>
              <Chip tone={account.recovery_codes_left > 2 ? "good" : "warn"}>{t("account.left", { count: account.recovery_codes_left })}</Chip>
              <FormDialog open={t("account.newCodes")} title={t("account.newCodes")} help={t("account.newCodesHelp")} submit={t("account.continue")} fields={[password]} done={reload} run={async (data) => {
                const made = await api.post<{ recovery_codes: string[] }>("/api/account/recovery-codes", { password: data.get("password") });
                return <Codes codes={made.recovery_codes} />;
              }} />
            </div>
          )}
        </Section>
      )}

      <Section title={t("account.sessions")} help={t("account.sessionsHelp")}>
        <DataTable
          label={t("account.sessions")} empty={t("account.noSessions")} head={[t("account.device"), t("account.from"), t("account.started"), t("account.seen"), `-${t("office.actions")}`]}
          rows={account.sessions.map((one) => ({
            key: one.id,
            cells: [browser(one.agent), one.address, dateTime(one.started), age(one.seen),
              one.current ? <Chip key="now" tone="good">{t("account.thisOne")}</Chip> : (
                <FormDialog key="end" danger open={t("account.end")} about={`${browser(one.agent)}, ${one.address}`} title={t("account.endSession")} help={`${browser(one.agent)} · ${one.address} · ${dateTime(one.started)}`} submit={t("account.end")} done={reload}
                  run={async () => void (await api.delete(`/api/account/sessions/${encodeURIComponent(one.id)}`))} />
              )],
          }))}
        />
      </Section>
    </>
  );
}

function AddTotp({ done }: { done: () => Promise<void> }): JSX.Element {
  return (
    <FormDialog open={t("account.addTotp")} title={t("account.addTotp")} submit={t("account.continue")} done={done} run={async (data) => {
      const code = data.get("code");
      if (code === null) throw new Error(t("office.loading"));
      const made = await api.put<{ recovery_codes?: string[] }>("/api/account/totp", { code: String(code).replace(/\s/g, "") });
      return made.recovery_codes ? <Codes codes={made.recovery_codes} /> : undefined;
    }}>
      <Offer />
    </FormDialog>
  );
}

/** A secret for the app and the field for its code; mounted, and so asked for, when the dialog opens. */
function Offer(): JSX.Element {
  const [offer, setOffer] = useState<{ secret: string; qr: string }>();
  const [failure, setFailure] = useState<unknown>();
  useEffect(() => {
    api.post<{ secret: string; qr: string }>("/api/account/totp", {}).then(setOffer, setFailure);
  }, []);
  if (!offer) return <Waiting problem={failure === undefined ? "" : reason(failure)} />;
  return (
    <>
      <p className="help">{t("account.scan")}</p>
      <img className="qr" alt={t("account.qr")} src={`data:image/svg+xml;charset=utf-8,${encodeURIComponent(offer.qr)}`} />
      <p className="help">{t("account.orType")} <code className="totp-secret">{offer.secret}</code></p>
      <Field name="code" label={t("account.code")} autoComplete="one-time-code" inputMode="numeric" autoFocus />
    </>
  );
}

function Codes({ codes }: { codes: string[] }): JSX.Element {
  return (
    <>
      <p>{t("account.keepCodes")}</p>
      <ul className="codes">{codes.map((code) => <li key={code}><code>{code}</code></li>)}</ul>
    </>
  );
}

/** A user agent's browser and system, as people call them. */
function browser(agent: string): string {
  const name = ["Edg", "OPR", "SamsungBrowser", "Whale", "Firefox", "Chrome", "Safari"].find((one) => agent.includes(`${one}/`));
  const system = ["Android", "iPhone", "iPad", "Windows", "Mac OS X", "Linux"].find((one) => agent.includes(one));
  const shown = { Edg: "Edge", OPR: "Opera", SamsungBrowser: "Samsung Internet" }[name ?? ""] ?? name;
  return [shown, system].filter(Boolean).join(" · ") || agent || "–";
}

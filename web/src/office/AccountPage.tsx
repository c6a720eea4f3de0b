import { useState, type JSX } from "react";
import { Input, Label, TextField } from "react-aria-components";
import { api } from "../api";
import { age, dateTime } from "../format";
import { t } from "../i18n";
import { createPasskey, passkeysWork } from "../passkeys";
import { roleTitle, type Role } from "./AccountsPage";
import { useLoaded } from "./data";
import type { PageProps } from "./Office";
import { Chip, DataTable, FormDialog, Section } from "./parts";

interface Account {
  name: string;
  title: string;
  roles: string[];
  totp: boolean;
  passkeys: { id: string; title: string; created: string; last_used: string | null }[];
  recovery_codes_left: number;
  sessions: { id: string; started: string; seen: string; address: string; agent: string; current: boolean }[];
}

export function AccountPage({ session }: PageProps): JSX.Element {
  const { data: account, problem, reload } = useLoaded<Account>("/api/account");
  const { data: roles } = useLoaded<{ roles: Role[] }>("/api/policy/v1/roles");
  if (!account) return <p className={problem ? "problem" : "hint"} role={problem ? "alert" : "status"}>{problem || t("app.loading")}</p>;
  const password = { name: "password", label: t("account.confirm"), type: "password", autoComplete: "current-password" };
  return (
    <>
      <Section title={t("account.you")}>
        <dl className="facts">
          <dt>{t("sign.name")}</dt><dd>{account.title || account.name}</dd>
          <dt>{t("account.roles")}</dt><dd>{account.roles.map((role) => <Chip key={role}>{roleTitle(roles?.roles, role)}</Chip>)}</dd>
          <dt>{t("account.signedIn")}</dt><dd>{t(session.second_factor ? "account.withSecond" : "account.withoutSecond")}</dd>
        </dl>
        <div className="actions">
          <FormDialog
            open={t("account.changePassword")} title={t("account.changePassword")} help={t("account.passwordHelp")} submit={t("office.save")}
            fields={[
              { name: "old", label: t("account.oldPassword"), type: "password", autoComplete: "current-password" },
              { name: "new", label: t("account.newPassword"), type: "password", autoComplete: "new-password" },
            ]}
            run={async (data) => {
              await api.put("/api/account/password", { old: data.get("old"), new: data.get("new") });
              await reload();
            }}
          />
        </div>
      </Section>

      <Section title={t("account.second")} help={t("account.secondHelp")}>
        <div className="factor">
          <div><h3>{t("account.totp")}</h3><p className="help">{t("account.totpHelp")}</p></div>
          <Chip tone={account.totp ? "good" : "warn"}>{t(account.totp ? "account.on" : "account.off")}</Chip>
          {account.totp ? (
            <FormDialog danger open={t("account.remove")} title={t("account.removeTotp")} submit={t("account.remove")} fields={[password]} run={async (data) => {
              await api.delete("/api/account/totp", { password: data.get("password") });
              await reload();
            }} />
          ) : <AddTotp done={reload} />}
        </div>
        <div className="factor">
          <div><h3>{t("account.passkeys")}</h3><p className="help">{t("account.passkeysHelp")}</p></div>
          <Chip tone={account.passkeys.length ? "good" : "warn"}>{t("account.count", { count: account.passkeys.length })}</Chip>
          {passkeysWork && (
            <FormDialog open={t("account.addPasskey")} title={t("account.addPasskey")} submit={t("account.continue")} fields={[{ name: "title", label: t("account.passkeyName") }]} run={async (data) => {
              const options = await api.post<PublicKeyCredentialCreationOptionsJSON>("/api/account/passkeys/options", {});
              const made = await api.post<{ recovery_codes?: string[] }>("/api/account/passkeys", { title: data.get("title"), credential: await createPasskey(options) });
              await reload();
              return made.recovery_codes ? <Codes codes={made.recovery_codes} /> : undefined;
            }} />
          )}
        </div>
        {account.passkeys.length > 0 && (
          <DataTable
            label={t("account.passkeys")} empty="" head={[t("account.passkeyName"), t("account.created"), t("account.lastUsed"), ""]}
            rows={account.passkeys.map((key) => ({
              key: key.id,
              cells: [key.title, dateTime(key.created), key.last_used ? age(key.last_used) : "–",
                <FormDialog key="remove" danger open={t("account.remove")} title={t("account.removePasskey", { name: key.title })} submit={t("account.remove")} run={async () => {
                  await api.delete(`/api/account/passkeys/${encodeURIComponent(key.id)}`);
                  await reload();
                }} />],
            }))}
          />
        )}
        {(account.totp || account.passkeys.length > 0) && (
          <div className="factor">
            <div><h3>{t("account.recovery")}</h3><p className="help">{t("account.recoveryHelp")}</p></div>
            <Chip tone={account.recovery_codes_left > 2 ? "good" : "warn"}>{t("account.left", { count: account.recovery_codes_left })}</Chip>
            <FormDialog open={t("account.newCodes")} title={t("account.newCodes")} help={t("account.newCodesHelp")} submit={t("account.continue")} fields={[password]} run={async (data) => {
              const made = await api.post<{ recovery_codes: string[] }>("/api/account/recovery-codes", { password: data.get("password") });
              await reload();
              return <Codes codes={made.recovery_codes} />;
            }} />
          </div>
        )}
      </Section>

      <Section title={t("account.sessions")} help={t("account.sessionsHelp")}>
        <DataTable
          label={t("account.sessions")} empty={t("account.noSessions")} head={[t("account.device"), t("account.from"), t("account.started"), t("account.seen"), ""]}
          rows={account.sessions.map((one) => ({
            key: one.id,
            cells: [browser(one.agent), one.address, dateTime(one.started), age(one.seen),
              one.current ? <Chip key="now" tone="good">{t("account.thisOne")}</Chip> : (
                <FormDialog key="end" danger open={t("account.end")} title={t("account.endSession")} submit={t("account.end")} run={async () => {
                  await api.delete(`/api/account/sessions/${encodeURIComponent(one.id)}`);
                  await reload();
                }} />
              )],
          }))}
        />
      </Section>
    </>
  );
}

function AddTotp({ done }: { done: () => Promise<void> }): JSX.Element {
  const [offer, setOffer] = useState<{ secret: string; qr: string }>();
  const [failed, setFailed] = useState("");
  return (
    <FormDialog
      open={t("account.addTotp")} title={t("account.addTotp")} submit={t("account.continue")}
      run={async (data) => {
        const code = String(data.get("code") ?? "").trim();
        if (!offer || !code) throw new Error(t("app.loading"));
        const made = await api.put<{ recovery_codes?: string[] }>("/api/account/totp", { code });
        await done();
        return made.recovery_codes ? <Codes codes={made.recovery_codes} /> : undefined;
      }}
    >
      <Offer offer={offer} failed={failed} ask={() => {
        setFailed("");
        api.post<{ secret: string; qr: string }>("/api/account/totp", {}).then(setOffer, (error: unknown) => setFailed(String(error)));
      }} />
    </FormDialog>
  );
}

function Offer({ offer, failed, ask }: { offer: { secret: string; qr: string } | undefined; failed: string; ask: () => void }): JSX.Element {
  // The dialog's content is made when it opens: that is when a secret is asked for.
  useState(() => void ask());
  if (!offer) return <p role="status" className="help">{failed || t("app.loading")}</p>;
  return (
    <>
      <p className="help">{t("account.scan")}</p>
      <img className="qr" alt={t("account.qr")} src={`data:image/svg+xml;charset=utf-8,${encodeURIComponent(offer.qr)}`} />
      <p className="help">{t("account.orType")} <code>{offer.secret}</code></p>
      <TextField name="code" isRequired>
        <Label>{t("account.code")}</Label>
        <Input autoComplete="one-time-code" inputMode="numeric" />
      </TextField>
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

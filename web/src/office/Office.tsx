import { ArrowLeft, KeyRound, ListChecks, ScrollText, Share2, UserRound, Users } from "lucide";
import { useCallback, useEffect, useState, type JSX } from "react";
import { api, ended, session as sessions } from "../api";
import { setZone } from "../format";
import { t, text } from "../i18n";
import { reason } from "../problems";
import type { Mine, Room, Session, Text } from "../types";
import { Icon } from "../ui/Icon";
import { Menu } from "../ui/Menu";
import { AccountPage } from "./AccountPage";
import { AccountsPage } from "./AccountsPage";
import { AuditPage } from "./AuditPage";
import { ClientsPage } from "./ClientsPage";
import { HandoverPage } from "./HandoverPage";
import { JobsPage } from "./JobsPage";

const PAGES = [
  { path: "/account", icon: UserRound, title: "account.title", needs: "account", page: AccountPage },
  { path: "/manage/accounts", icon: Users, title: "accounts.title", needs: "accounts.read", page: AccountsPage },
  { path: "/manage/clients", icon: KeyRound, title: "clients.title", needs: "accounts.manage", page: ClientsPage },
  { path: "/manage/audit", icon: ScrollText, title: "audit.title", needs: "audit.read", page: AuditPage },
  { path: "/manage/jobs", icon: ListChecks, title: "jobs.title", needs: "jobs.read", page: JobsPage },
  { path: "/manage/handover", icon: Share2, title: "handover.title", needs: "handover.read", page: HandoverPage },
] as const;

/** What a page of the office is given: who is signed in, and what policy lets them do. */
export interface PageProps {
  session: Session;
  may: (action: string) => boolean;
  /** Whether nothing but a second factor is wanting for it. */
  wants: (action: string) => boolean;
  rooms: Room[];
  /** Asks again who is signed in and what they may do. */
  refresh: () => Promise<void>;
}

/** The screens behind the city: one's own account, and what those see who keep the hub. */
export function Office({ session: given, signedOut }: { session: Session; signedOut: () => void }): JSX.Element {
  const [session, setSession] = useState(given);
  const [mine, setMine] = useState<Mine>();
  const [failure, setFailure] = useState<unknown>();
  const [city, setCity] = useState<Text>();
  const [path, setPath] = useState(location.pathname);
  const refresh = useCallback(async () => {
    const [who, what] = await Promise.all([sessions.get(), api.get<Mine>("/api/policy/v1/mine")]);
    setSession(who);
    setMine(what);
  }, []);
  useEffect(() => {
    refresh().catch(setFailure);
    api.get<{ name: Text; zone: string }>("/api/shell/v1/city").then((answer) => { setZone(answer.zone); setCity(answer.name); }, () => undefined);
    const back = (): void => setPath(location.pathname);
    addEventListener("popstate", back);
    const stop = ended.watch(signedOut);
    return () => {
      removeEventListener("popstate", back);
      stop();
    };
  }, [refresh, signedOut]);

  const may = (action: string): boolean => mine?.actions.includes(action) ?? false;
  const wants = (action: string): boolean => mine?.with_second_factor.includes(action) ?? false;
  const open = PAGES.filter(({ needs }) => (may(needs) || wants(needs)) && (needs !== "account" || session.login !== false));
  const asked = PAGES.find((page) => page.path === path);
  const here = open.find((page) => page === asked);
  const title = asked ? t(asked.title) : t("office.title");
  useEffect(() => {
    document.title = `${title} · ${text(city, "Hanmaru")}`;
  });

  return (
    <div className="office">
      <header className="top">
        <a className="brand" href="/">
          <span className="mark" aria-hidden="true" />
          <span><b>{text(city, "Hanmaru")}</b><small><Icon node={ArrowLeft} size={13} />{t("office.back")}</small></span>
        </a>
        <span />
        <div className="top-end"><Menu session={session} signedOut={signedOut} /></div>
      </header>
      <nav className="office-nav" aria-label={t("office.title")}>
        {open.map((page) => (
          <a
            key={page.path} href={page.path} aria-current={page === here ? "page" : undefined}
            onClick={(event) => {
              if (event.metaKey || event.ctrlKey || event.shiftKey) return;
              event.preventDefault();
              history.pushState(null, "", page.path);
              setPath(page.path);
              document.getElementById("office-main")?.focus();
            }}
          >
            <Icon node={page.icon} size={17} />{t(page.title)}
          </a>
        ))}
      </nav>
      <main id="office-main" className="office-main" tabIndex={-1}>
        <h1>{title}</h1>
        {!mine && (failure ? <p role="alert" className="problem">{reason(failure)}</p> : <p role="status" className="hint">{t("office.loading")}</p>)}
        {mine && !here && <p className="notice">{t(asked ? "office.denied" : "office.nowhere")}</p>}
        {here && <here.page key={here.path} session={session} may={may} wants={wants} rooms={mine?.rooms ?? []} refresh={refresh} />}
      </main>
    </div>
  );
}

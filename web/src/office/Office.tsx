import { ArrowLeft, KeyRound, ListChecks, ScrollText, Share2, UserRound, Users } from "lucide";
import { useEffect, useState, type JSX } from "react";
import { t, text } from "../i18n";
import type { Session, Text } from "../types";
import { api } from "../api";
import { setZone } from "../format";
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
}

/** The screens behind the city: one's own account, and what those see who keep the hub. */
export function Office({ session, signedOut }: { session: Session; signedOut: () => void }): JSX.Element {
  const [actions, setActions] = useState<ReadonlySet<string>>();
  const [city, setCity] = useState<Text>();
  const [path, setPath] = useState(location.pathname);
  useEffect(() => {
    api.get<{ actions: string[] }>("/api/policy/v1/mine").then((mine) => setActions(new Set(mine.actions)), () => setActions(new Set()));
    api.get<{ name: Text; zone: string }>("/api/shell/v1/city").then((answer) => { setZone(answer.zone); setCity(answer.name); }, () => undefined);
    const back = (): void => setPath(location.pathname);
    addEventListener("popstate", back);
    return () => removeEventListener("popstate", back);
  }, []);

  const open = PAGES.filter((page) => actions?.has(page.needs) || (page.needs === "accounts.read" && actions?.has("accounts.manage")));
  const here = open.find((page) => page.path === path) ?? open[0];
  useEffect(() => {
    if (here) document.title = `${t(here.title)} · ${text(city, "Hanmaru")}`;
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
        {!actions && <p role="status" className="hint">{t("app.loading")}</p>}
        {actions && !here && <p className="hint">{t("office.nothing")}</p>}
        {actions && here && <><h1>{t(here.title)}</h1><here.page key={here.path} session={session} may={(action) => actions.has(action)} /></>}
      </main>
    </div>
  );
}

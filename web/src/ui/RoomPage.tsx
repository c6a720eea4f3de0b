import { ArrowLeft } from "lucide";
import { useEffect, useMemo, useRef, useState, type JSX, type MouseEvent } from "react";
import { ended } from "../api";
import { setZone } from "../format";
import { t, text, useLanguage } from "../i18n";
import { useLoaded } from "../office/data";
import { WantsFactor } from "../office/parts";
import { makePageShell, mounted } from "../shell";
import { Observable, useValue } from "../state";
import type { Manifest, Mine, PageOf, Session } from "../types";
import { Icon } from "./Icon";
import { Menu } from "./Menu";

/** The page that an address belongs to: the one with the longest path that begins it. */
function pageAt(pages: readonly PageOf[], path: string): PageOf | undefined {
  return pages.filter((page) => path === page.path || path.startsWith(`${page.path}/`)).sort((a, b) => b.path.length - a.path.length)[0];
}

/** Where a citizen begins: below it are the services' pages for citizens. */
const HOME = "/app";

/** The frame around the pages of a service: the way back, the service's other pages, and the menu. */
export function RoomPage({ session, signedOut }: { session: Session; signedOut: () => void }): JSX.Element {
  useLanguage();
  const { data: manifest, problem } = useLoaded<Manifest>("/api/shell/v1/manifest");
  const { data: mine, problem: unknown } = useLoaded<Mine>("/api/policy/v1/mine");
  const [path] = useState(() => new Observable(location.pathname));
  const here = useValue(path);
  useEffect(() => {
    const back = (): void => void (path.value = location.pathname);
    addEventListener("popstate", back);
    const stop = ended.watch(signedOut);
    return () => {
      removeEventListener("popstate", back);
      stop();
    };
  }, [path, signedOut]);
  useEffect(() => void (manifest && setZone(manifest.city.zone)), [manifest]);

  const pages = manifest?.pages ?? [];
  const page = pageAt(pages, here);
  const may = (action: string): boolean => mine?.actions.includes(action) ?? false;
  const go = (to: string): void => {
    if (!pageAt(pages, to)) return location.assign(to);
    history.pushState(null, "", to);
    path.value = to;
    document.getElementById("room-main")?.focus();
  };
  const service = manifest?.services.find(({ name }) => name === page?.service);
  const city = text(manifest?.city.name, "Hanmaru");
  const open = pages.filter((one) => one.service === page?.service && may(one.permission));
  return (
    <div className="room">
      <a className="skip" href="#room-main" onClick={(event) => { event.preventDefault(); document.getElementById("room-main")?.focus(); }}>{t("room.skip")}</a>
      <header className="top">
        <a className="brand" href="/">
          <span className="mark" aria-hidden="true" />
          <span><b>{service ? text(service.title) : city}</b><small><Icon node={ArrowLeft} size={13} />{city}</small></span>
        </a>
        {open.length > 1 && (
          <nav className="room-nav" aria-label={service ? text(service.title) : t("menu.pages")}>
            {open.map((one) => (
              <a
                key={one.id} href={one.path} aria-current={one === page ? "page" : undefined}
                onClick={(event: MouseEvent) => {
                  if (event.metaKey || event.ctrlKey || event.shiftKey) return;
                  event.preventDefault();
                  go(one.path);
                }}
              >
                {text(one.title)}
              </a>
            ))}
          </nav>
        )}
        <div className="top-end"><Menu session={session} signedOut={signedOut} /></div>
      </header>
      <main id="room-main" className="room-main" tabIndex={-1}>
        {(problem || unknown) && <p role="alert" className="problem">{problem || unknown}</p>}
        {!(manifest && mine) && !problem && !unknown && <p role="status" className="hint">{t("office.loading")}</p>}
        {manifest && mine && !page && here === HOME && <Home manifest={manifest} may={may} go={go} />}
        {manifest && mine && !page && here !== HOME && <p className="notice">{t("office.nowhere")}</p>}
        {mine && page && !may(page.permission) && (mine.with_second_factor.includes(page.permission) ? <WantsFactor /> : <p className="notice">{t("office.denied")}</p>)}
        {manifest && mine && page && may(page.permission) && <Mounted key={page.id} manifest={manifest} page={page} session={session} may={may} path={path} go={go} />}
      </main>
    </div>
  );
}

/** What the city offers this citizen; where it is one thing only, that thing. */
function Home({ manifest, may, go }: { manifest: Manifest; may: (action: string) => boolean; go: (path: string) => void }): JSX.Element {
  const open = manifest.pages.filter(({ path, permission }) => path.startsWith(`${HOME}/`) && may(permission));
  const only = open.length === 1 ? open[0]! : null;
  useEffect(() => {
    document.title = [t("home.title"), text(manifest.city.name, "Hanmaru")].join(" · ");
    if (only) history.replaceState(null, "", only.path), go(only.path);
  });
  return (
    <div className="room-home">
      <h1>{t("home.title")}</h1>
      {open.length === 0 && <p className="notice">{t("home.none")}</p>}
      <ul>
        {open.map((page) => (
          <li key={page.id}>
            <a href={page.path} onClick={(event) => { event.preventDefault(); go(page.path); }}>
              <b>{text(page.title)}</b>
              <small>{text(manifest.services.find(({ name }) => name === page.service)?.title)}</small>
            </a>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Mounted({ manifest, page, session, may, path, go }: {
  manifest: Manifest;
  page: PageOf;
  session: Session;
  may: (action: string) => boolean;
  path: Observable<string>;
  go: (path: string) => void;
}): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const [problem, setProblem] = useState("");
  const given = useRef({ may, go });
  given.current = { may, go };
  const title = useMemo(() => (what: string) => void (document.title = [what, text(manifest.city.name, "Hanmaru")].join(" · ")), [manifest]);
  useEffect(() => {
    const element = document.createElement("div");
    element.className = "room-page";
    place.current!.replaceChildren(element);
    title(text(page.title));
    const made = makePageShell(manifest.city, session, (action) => given.current.may(action), path, (to) => given.current.go(to), title);
    return mounted(element, page.module, made, setProblem);
  }, [manifest, page, session, path, title]);
  return (
    <>
      {problem && <p role="alert" className="problem">{t("panel.failed", { reason: problem })}</p>}
      <div ref={place} className="room-place" />
    </>
  );
}

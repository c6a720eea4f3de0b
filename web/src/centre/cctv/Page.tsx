import { useSyncExternalStore, type JSX } from "react";
import { api } from "../../api";
import { t } from "../../i18n";
import { FormDialog } from "../../office/parts";
import "../../styles/centre-cctv.css";
import { To, useShell, useTitle } from "../../ui/page";
import { CameraPage } from "./CameraPage";
import { Clips } from "./Clips";
import { useCameras } from "./data";
import { FindTab } from "./FindTab";
import { EditCamera, RegisterForm } from "./RegisterForm";
import { ROOT } from "./stream";
import { Wall } from "./Wall";

const TABS = ["find", "wall", "clips", "new"] as const;
type Tab = (typeof TABS)[number];

/** Cameras: find one, watch many, look at one, cut evidence, keep the register. */
export function Page({ part }: { part: string }): JSX.Element {
  const shell = useShell();
  const path = useSyncExternalStore(shell.changed, () => shell.path);
  const manages = shell.may("centre.cameras");
  const tab: Tab | null = part === "" ? "find" : TABS.find((one) => one === part) ?? null;
  const nav = (
    <nav className="cam-nav" aria-label={t("centre.cctv.parts")}>
      {TABS.filter((one) => one !== "new" || manages).map((one) => <To key={one} path={one === "find" ? "/cctv" : `/cctv/${one}`} current={one === tab}>{t(`centre.cctv.tab.${one}`)}</To>)}
    </nav>
  );
  if (!tab) return <div className="cam">{nav}{path.endsWith("/edit") && manages ? <EditCamera key={part} id={part} /> : <CameraPage key={part} id={part} />}</div>;
  if (tab === "new" && manages) return <div className="cam">{nav}<RegisterForm /></div>;
  return <div className="cam">{nav}<Listed tab={tab} manages={manages} /></div>;
}

function Listed({ tab, manages }: { tab: Tab; manages: boolean }): JSX.Element {
  const register = useCameras();
  useTitle(t(`centre.cctv.tab.${tab}`));
  return (
    <>
      <h1 className="visually-hidden">{t(`centre.cctv.tab.${tab}`)}</h1>
      {tab === "find" && manages && register.cameras?.length === 0 && (
        <div className="notice cam-none">
          <p>{t("centre.cctv.noneYet")}</p>
          <FormDialog open={t("centre.cctv.import")} title={t("centre.cctv.import")} help={t("centre.cctv.importHelp")} submit={t("centre.cctv.importDo")} run={async () => void (await api.post(`${ROOT}/cameras/import`, {}))} done={register.reload} />
        </div>
      )}
      {tab === "find" ? <FindTab register={register} /> : tab === "wall" ? <Wall register={register} /> : <Clips register={register} />}
    </>
  );
}

import { BatteryLow } from "lucide";
import { useEffect, useMemo, useRef, useState, type JSX } from "react";
import { t } from "../../i18n";
import { Icon } from "../../ui/Icon";
import { bluetooth, measured, type LinkState, type Radio, type Taken } from "./bluetooth";
import type { Measure } from "./measures";
import { Big, Sheet } from "./parts";
import { simulated } from "./simulator";
import type { Place } from "./types";

/** The way to devices: a simulated one where the server lets it and the address asks for it, else the browser's. */
export function useRadio(place: Place): Radio | undefined {
  return useMemo(() => {
    const query = new URLSearchParams(location.search);
    return place.simulated && query.get("devices") === "simulated" ? simulated(query) : bluetooth();
  }, [place]);
}

/** Below this a device's battery should be changed soon. */
const LOW_PCT = 20;
/** Long enough to read what came before the next screen takes its place. */
const SEEN_MS = 600;

/** Waits for what a device sends, and shows what to do meanwhile. Nothing goes on without it but by choice. */
export function DeviceStep({ radio, measure, drawing, onTaken, onHand }: { radio: Radio; measure: Measure; drawing: JSX.Element; onTaken: (taken: Taken) => void; onHand: () => void }): JSX.Element {
  const [state, setState] = useState<LinkState | "failed">("looking");
  const [battery, setBattery] = useState<number | null>(null);
  const [attempt, setAttempt] = useState(0);
  const taken = useRef(onTaken);
  taken.current = onTaken;
  useEffect(() => {
    const ending = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    measured(radio, measure.characteristic!, Date.now(), ending.signal, setState).then((found) => {
      if (ending.signal.aborted) return;
      setBattery(found.battery);
      timer = setTimeout(() => taken.current(found), SEEN_MS);
    }, () => { if (!ending.signal.aborted) setState("failed"); });
    return () => {
      clearTimeout(timer);
      ending.abort();
    };
  }, [radio, measure, attempt]);
  return (
    <Sheet title={t(`kiosk.device.${measure.id}`)} help={t(`kiosk.deviceHelp.${measure.id}`)} drawing={drawing}
      actions={<>{state === "failed" && <Big kind="primary" onPress={() => { setState("looking"); setAttempt(attempt + 1); }}>{t("kiosk.device.retry")}</Big>}<Big onPress={onHand}>{t("kiosk.device.byHand")}</Big></>}>
      <p role="status" className="said link-state" data-state={state}><i className="pulse" />{t(`kiosk.link.${state}`)}</p>
      {battery !== null && battery < LOW_PCT && <p className="said"><Icon node={BatteryLow} size={28} />{t("kiosk.battery", { percent: battery })}</p>}
    </Sheet>
  );
}

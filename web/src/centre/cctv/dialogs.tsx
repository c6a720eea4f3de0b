import { useEffect, useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { api } from "../../api";
import { clock, exact, instantOf, now } from "../../format";
import { t } from "../../i18n";
import { Choice, FormDialog } from "../../office/parts";
import { reason } from "../../problems";
import { Field } from "../../ui/Field";
import { ROOT } from "./stream";
import type { Camera, Clip, Grant } from "./types";

const PURPOSES = ["crime", "rescue", "missing", "disaster", "order"] as const;
const MOST_MINUTES = 30;
const CLIP_S = 60;

/** Asks to see faces: for a purpose, for some minutes, on the record. */
export function UnblurDialog({ camera, given }: { camera: Camera; given: (grant: Grant) => void }): JSX.Element {
  const [purpose, setPurpose] = useState<string>(PURPOSES[0]);
  return (
    <FormDialog
      open={t("centre.cctv.unblur")} title={t("centre.cctv.unblur")} help={t("centre.cctv.unblurHelp")} submit={t("centre.cctv.unblurDo")}
      run={async (data) => {
        const body = { purpose: t(`centre.cctv.purpose.${purpose}`), reason: String(data.get("reason")), event: String(data.get("event") ?? ""), minutes: Number(data.get("minutes")) };
        const { grant, until } = await api.post<{ grant: string; until: string }>(`${ROOT}/cameras/${encodeURIComponent(camera.id)}/unblur`, body);
        given({ grant, until, camera: camera.id });
      }}
    >
      <Choice name="purpose" label={t("centre.cctv.purpose")} value={purpose} onChange={setPurpose} options={PURPOSES.map((one) => [one, t(`centre.cctv.purpose.${one}`)] as const)} />
      <Field name="reason" label={t("centre.cctv.reason")} help={t("centre.cctv.reasonHelp")} />
      <Field name="event" label={t("centre.cctv.event")} optional />
      <Field name="minutes" label={t("centre.cctv.minutes")} type="number" min={1} max={MOST_MINUTES} initial="10" inputMode="numeric" check={(value) => (Number.isInteger(Number(value)) && Number(value) >= 1 && Number(value) <= MOST_MINUTES ? undefined : t("centre.board.between", { low: 1, high: MOST_MINUTES }))} />
    </FormDialog>
  );
}

/** How long faces are still shown, and the way to end it at once. */
export function Countdown({ grant, over }: { grant: Grant; over: () => void }): JSX.Element {
  const [left, setLeft] = useState(() => Date.parse(grant.until) - now());
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const timer = setInterval(() => {
      const rest = Date.parse(grant.until) - now();
      setLeft(rest);
      if (rest <= 0) over();
    }, 500);
    return () => clearInterval(timer);
  }, [grant, over]);
  const seconds = Math.max(0, Math.ceil(left / 1000));
  return (
    <div className="cam-countdown">
      <p><b>{t("centre.cctv.facesShown")}</b> <span role="timer">{Math.floor(seconds / 60)}:{String(seconds % 60).padStart(2, "0")}</span> <span>{t("centre.cctv.until", { time: clock(grant.until) })}</span></p>
      <Button
        className="button danger" onPress={() => {
          over();
          api.delete(`${ROOT}/cameras/${encodeURIComponent(grant.camera)}/unblur/${encodeURIComponent(grant.grant)}`).catch((error: unknown) => setProblem(reason(error)));
        }}
      >
        {t("centre.cctv.endNow")}
      </Button>
      {problem && <p className="problem" role="alert">{problem}</p>}
    </div>
  );
}

/** Asks for an evidence clip of what is recorded. */
export function ClipDialog({ camera, made }: { camera: Camera; made?: (clip: Clip) => void }): JSX.Element {
  const whole = (value: string): string | undefined => (instantOf(value) ? undefined : t("centre.cctv.badTime"));
  return (
    <FormDialog
      open={t("centre.cctv.clip")} title={t("centre.cctv.clip")} help={t("centre.cctv.clipHelp")} submit={t("centre.cctv.clipDo")}
      run={async (data) => {
        const [start, end] = [instantOf(String(data.get("start"))), instantOf(String(data.get("end")))];
        made?.(await api.post<Clip>(`${ROOT}/clips`, { camera: camera.id, start, end, reason: String(data.get("reason")), event: String(data.get("event") ?? "") }));
      }}
    >
      <div className="pair">
        <Field name="start" label={t("centre.cctv.from")} initial={exact(now() - CLIP_S * 1000)} check={whole} />
        <Field name="end" label={t("centre.cctv.to")} initial={exact(now())} check={whole} />
      </div>
      <Field name="reason" label={t("centre.cctv.reason")} />
      <Field name="event" label={t("centre.cctv.event")} optional />
    </FormDialog>
  );
}

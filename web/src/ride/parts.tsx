import { Minus, Plus, WifiOff } from "lucide";
import type { JSX } from "react";
import { Button } from "react-aria-components";
import { clock, number } from "../format";
import { t } from "../i18n";
import { Chip } from "../office/parts";
import { Icon } from "../ui/Icon";
import type { Line } from "./stream";
import { word } from "./words";

/** Says that the line to the server is lost, and how old what is shown is. Empty, but there, while it is not. */
export function LineState({ line, lostAt }: { line: Line; lostAt: number }): JSX.Element {
  return (
    <div role="status" className="line-state" data-line={line}>
      {line === "lost" && <><Icon node={WifiOff} size={16} /><span>{t("ride.offline", { time: clock(lostAt) })}</span></>}
    </div>
  );
}

/** A number that is counted up and down. */
export function Stepper({ label, value, least = 0, most, onChange }: { label: string; value: number; least?: number; most: number; onChange: (value: number) => void }): JSX.Element {
  return (
    <div className="stepper" role="group" aria-label={label}>
      <span>{label}</span>
      <Button className="icon-button" aria-label={t("ride.fewer", { what: label })} isDisabled={value <= least} onPress={() => onChange(value - 1)}><Icon node={Minus} /></Button>
      <output aria-live="polite">{number(value)}</output>
      <Button className="icon-button" aria-label={t("ride.more", { what: label })} isDisabled={value >= most} onPress={() => onChange(value + 1)}><Icon node={Plus} /></Button>
    </div>
  );
}

const TONES: Record<string, "good" | "warn" | "bad"> = {
  booked: "good", "on-way": "good", arriving: "good", aboard: "good", refused: "bad", broken: "bad", "no-show": "warn", cancelled: "warn", expired: "warn",
  driving: "good", "at-stop": "good", break: "warn", held: "warn", "out-of-service": "bad",
};

/** The state of a trip or of a van. */
export function State({ of, state }: { of: "state" | "status"; state: string }): JSX.Element {
  return <Chip tone={of === "state" && state === "done" ? undefined : TONES[state]}>{word(of, state)}</Chip>;
}

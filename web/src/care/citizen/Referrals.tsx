import { CalendarClock, FileHeart } from "lucide";
import type { JSX } from "react";
import { dateTime } from "../../format";
import { t, text } from "../../i18n";
import { Icon } from "../../ui/Icon";
import { useMine } from "./data";
import { Part } from "./parts";
import type { Referral } from "./types";
import { date } from "./words";

/** Where the hospital stands: what was referred, when the appointment is, what came back. Nothing where there is none. */
export function Referrals(): JSX.Element | null {
  const { data } = useMine<{ referrals: Referral[] }>("/referrals");
  if (!data?.referrals.length) return null;
  return (
    <Part title={t("health.hospital")} id="hospital">
      <ul className="referral-list">
        {data.referrals.map((one) => (
          <li key={one.id}>
            <h3>{text(one.to)}</h3>
            <p>{text(one.reason)} <small>{date(one.at)}</small></p>
            <p className="referral-state">{text(one.word)}</p>
            {one.appointment && <p className="appointment"><Icon node={CalendarClock} /><span><b>{dateTime(one.appointment.at)}</b> {text(one.appointment.place)} · {text(one.appointment.word)}</span></p>}
            {one.results.map((result) => <p key={result.at + text(result.title)} className="appointment"><Icon node={FileHeart} /><span><b>{text(result.title)}</b> {text(result.text)} <small>{date(result.at)}</small></span></p>)}
          </li>
        ))}
      </ul>
    </Part>
  );
}

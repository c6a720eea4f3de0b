import type { JSX } from "react";
import { Button } from "react-aria-components";
import { number } from "../format";
import { t } from "../i18n";
import { Probability } from "./parts";
import type { Hotspot } from "./types";
import { placeName, span } from "./words";

/** Places where more people were than is usual there while somebody infectious was, likeliest first. */
export function HotspotList({ hotspots, look }: { hotspots: Hotspot[]; look: (spot: Hotspot) => void }): JSX.Element {
  if (hotspots.length === 0) return <p className="hint">{t("trace.hotspots.none")}</p>;
  return (
    <ol className="hotspot-list" aria-label={t("trace.hotspots")}>
      {[...hotspots].sort((a, b) => b.probability - a.probability).map((spot) => (
        <li key={spot.id} className="contact">
          <div className="contact-head">
            <div>
              <h2><Button className="link" onPress={() => look(spot)}>{placeName(spot.place)}</Button></h2>
              <p>{span(spot)} · {t("trace.within", { metres: number(Math.round(spot.radius_m)) })}</p>
            </div>
            <Probability value={spot.probability} label={t("trace.ofTransmission")} />
          </div>
          <p className="together">{t("trace.people", { people: number(spot.people), expected: number(spot.expected, 1) })}</p>
        </li>
      ))}
    </ol>
  );
}

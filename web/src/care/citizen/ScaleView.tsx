import type { JSX } from "react";
import { number } from "../../format";
import { t, text } from "../../i18n";
import { Mark } from "./parts";
import type { Scale, Segment } from "./types";
import { amount, range } from "./words";

const has = (segment: Segment, value: number): boolean => (segment.low === null || value >= segment.low) && (segment.high === null || value < segment.high);

/** Where a value lies among a rule's bands. The drawing says nothing that the sentence and the table beside it do not. */
export function ScaleView({ scale }: { scale: Scale }): JSX.Element {
  const { low, high, segments, value } = scale;
  const at = (place: number): number => Math.min(100, Math.max(0, ((place - low) / (high - low)) * 100));
  const here = value === null ? undefined : segments.find((segment) => has(segment, value));
  const good = segments.filter(({ level }) => level === "good");
  const healthy = good.length ? range(good[0]!.low, good[good.length - 1]!.high, scale.unit) : "";
  const said = value === null || !here ? "" : t("health.lies", { value: amount(value, scale.unit), level: t(`health.level.${here.level}`) });
  return (
    <figure className="scale">
      <figcaption>
        <b>{text(scale.title)}</b> <span>{said}</span>{healthy && <small>{t("health.healthy", { range: healthy })}</small>}
      </figcaption>
      <div className="scale-bar" aria-hidden="true">
        {segments.map((segment) => {
          const [from, to] = [at(segment.low ?? low), at(segment.high ?? high)];
          return to > from && (
            <span key={segment.low ?? "start"} className="stretch" data-level={segment.level} data-here={segment === here || undefined} style={{ left: `${from}%`, width: `${to - from}%` }}>
              {to - from > 9 && <Mark level={segment.level} />}
            </span>
          );
        })}
        {value !== null && <span className="pointer" style={{ left: `${at(value)}%` }} />}
        {segments.map(({ low: edge }) => edge !== null && edge > low && edge < high && <span key={edge} className="edge" style={{ left: `${at(edge)}%` }}>{number(edge)}</span>)}
      </div>
      <details>
        <summary>{t("health.asTable")}</summary>
        <table>
          <caption className="visually-hidden">{text(scale.title)}</caption>
          <thead><tr><th scope="col">{t("health.range")}</th><th scope="col">{t("health.meaning")}</th></tr></thead>
          <tbody>
            {segments.map((segment) => (
              <tr key={segment.low ?? "start"} data-here={segment === here || undefined}>
                <th scope="row">{range(segment.low, segment.high, scale.unit)}{segment === here && <b> {t("health.here", { value: number(value!) })}</b>}</th>
                <td><Mark level={segment.level} /> {t(`health.level.${segment.level}`)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}

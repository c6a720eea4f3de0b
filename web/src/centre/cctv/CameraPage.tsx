import { useCallback, useMemo, useState, type JSX } from "react";
import { api } from "../../api";
import { clock, number } from "../../format";
import { t, text } from "../../i18n";
import { useLoaded } from "../../office/data";
import { Chip, DataTable, FormDialog, Section, Waiting } from "../../office/parts";
import { To, useShell, useTitle } from "../../ui/page";
import { ClipDialog, Countdown, UnblurDialog } from "./dialogs";
import { nameOfCamera } from "./data";
import { TONES } from "./FindTab";
import { ROOT } from "./stream";
import type { Camera, Clip, Counts, Grant } from "./types";
import { Picture } from "./View";

const HOURS = 3;
const MOST_ROWS = 60;

/** One camera: its picture, what it counts, who may see more of it. */
export function CameraPage({ id }: { id: string }): JSX.Element {
  const path = `${ROOT}/cameras/${encodeURIComponent(id)}`;
  const { data: camera, problem } = useLoaded<Camera>(path, 5_000);
  const { data: counts } = useLoaded<{ items: Counts[] }>(`${path}/counts?hours=${HOURS}`, 15_000);
  const shell = useShell();
  const [tracks, setTracks] = useState(true);
  const [lines, setLines] = useState(true);
  const [grant, setGrant] = useState<Grant | null>(null);
  const [asked, setAsked] = useState<Clip | null>(null);
  const over = useCallback(() => setGrant(null), []);
  useTitle(camera ? nameOfCamera(camera) : t("centre.cctv.cameras"));
  if (!camera) return <Waiting problem={problem} />;
  const name = nameOfCamera(camera);
  return (
    <div className="cam-page">
      <div className="page-head">
        <div><h1>{name}</h1><p className="help"><Chip tone={TONES[camera.state]}>{t(`centre.cctv.state.${camera.state}`)}</Chip> {camera.notice && text(camera.notice)}</p></div>
        <div className="actions">
          {shell.may("centre.act") && <ClipDialog camera={camera} made={setAsked} />}
          {shell.may("centre.unblur") && !grant && <UnblurDialog camera={camera} given={setGrant} />}
          {shell.may("centre.cameras") && <To className="button" path={`/cctv/${encodeURIComponent(id)}/edit`}>{t("centre.cctv.edit")}</To>}
          {shell.may("centre.cameras") && <FormDialog danger open={t("centre.cctv.remove")} title={t("centre.cctv.removeTitle", { name })} help={t("centre.cctv.removeHelp")} submit={t("centre.cctv.remove")} run={async () => { await api.delete(path); shell.go("/cctv"); }} />}
        </div>
      </div>
      {grant && <Countdown grant={grant} over={over} />}
      {asked && <p className="notice" role="status">{t("centre.cctv.clipAsked")} <To path="/cctv/clips">{t("centre.cctv.tab.clips")}</To></p>}
      <div className="cam-columns">
        <div>
          <Picture id={id} name={name} height={360} tracks={tracks} lines={lines ? camera.lines : undefined} grant={grant?.grant ?? ""} />
          <div className="cam-tools">
            <label><input type="checkbox" checked={tracks} onChange={(event) => setTracks(event.target.checked)} />{t("centre.cctv.tracks")}</label>
            <label><input type="checkbox" checked={lines} onChange={(event) => setLines(event.target.checked)} />{t("centre.cctv.lines")}</label>
          </div>
        </div>
        <dl className="facts">
          <dt>{t("centre.cctv.use")}</dt><dd>{t(`centre.cctv.use.${camera.use}`)}</dd>
          <dt>{t("centre.cctv.looks")}</dt><dd>{t("centre.cctv.looksTo", { direction: number(camera.direction_deg), fov: number(camera.fov_deg), range: number(camera.range_m) })}</dd>
          <dt>{t("centre.cctv.pictures")}</dt><dd>{camera.width ? `${camera.width} × ${camera.height}, ${number(camera.fps ?? 0, 1)}/s` : t("value.none")}</dd>
          <dt>{t("centre.cctv.recorded")}</dt><dd>{camera.record ? t("centre.cctv.days", { days: number(camera.retention_days) }) : t("value.no")}</dd>
          <dt>{t("centre.cctv.analysis")}</dt><dd>{t(`centre.cctv.analysis.${camera.analysis}`)}</dd>
        </dl>
      </div>
      <CountsPart camera={camera} counts={counts?.items ?? []} />
    </div>
  );
}

/** What crossed the lines and was in the zones: sums as bars, minutes as a table. */
function CountsPart({ camera, counts }: { camera: Camera; counts: readonly Counts[] }): JSX.Element {
  const named = useMemo(() => new Map([...camera.lines, ...camera.zones].map(({ id, name }) => [id, name])), [camera]);
  const minutes = useMemo(() => {
    const from = Date.now() - HOURS * 3_600_000;
    return [...named.keys()].map((place) => {
      const bins = new Array<number>(HOURS * 12).fill(0);
      for (const one of counts) {
        const at = Math.floor((Date.parse(one.at) - from) / 300_000);
        const isLine = "in" in one.values || "out" in one.values;
        const value = isLine ? (one.values.in ?? 0) + (one.values.out ?? 0) : one.values.most ?? 0;
        if (one.place === place && at >= 0 && at < bins.length) bins[at] = isLine ? bins[at]! + value : Math.max(bins[at]!, value);
      }
      return { place, bins };
    });
  }, [counts, named]);
  const told = ({ values }: Counts): string => Object.entries(values).map(([what, value]) => `${t(`centre.cctv.counted.${what}`)} ${number(value, what === "mean" ? 1 : 0)}`).join(", ");
  return (
    <Section title={t("centre.cctv.counts")} help={t("centre.cctv.countsHelp", { hours: HOURS })}>
      {minutes.map(({ place, bins }) => {
        const most = Math.max(1, ...bins);
        return (
          <figure key={place} className="cam-counts">
            <figcaption>{named.get(place)} <span>{t("centre.cctv.most", { count: number(Math.max(...bins)) })}</span></figcaption>
            <svg viewBox={`0 0 ${bins.length} 20`} preserveAspectRatio="none" aria-hidden="true">{bins.map((value, index) => <rect key={index} x={index + 0.1} width={0.8} y={20 - (20 * value) / most} height={(20 * value) / most} />)}</svg>
          </figure>
        );
      })}
      <DataTable
        label={t("centre.cctv.counts")} head={[t("chart.time"), t("centre.cctv.where"), t("centre.cctv.kind"), t("centre.cctv.counted")]} empty={t("centre.cctv.noCounts")}
        rows={counts.slice(0, MOST_ROWS).map((one) => ({ key: `${one.at}${one.place}${one.kind}`, cells: [clock(one.at), named.get(one.place) ?? one.place, t(`centre.cctv.kind.${one.kind}`), told(one)] }))}
      />
    </Section>
  );
}

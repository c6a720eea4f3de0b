import { useState, type JSX } from "react";
import { file } from "../../api";
import { dateTime, exact, number } from "../../format";
import { hasMessage, t } from "../../i18n";
import { useLoaded } from "../../office/data";
import { Chip, DataTable, FormDialog, ReadDialog, Section, Waiting } from "../../office/parts";
import { Field } from "../../ui/Field";
import { useShell } from "../../ui/page";
import { nameOfCamera, type Register } from "./data";
import { ROOT } from "./stream";
import type { Clip, Custody } from "./types";

const TONES = { ready: "good", wanted: "warn", failed: "bad" } as const;

interface Whole extends Clip {
  custody: Custody[];
  intact: boolean;
  damage: string | null;
}

/** The evidence clips, and for each who touched it. */
export function Clips({ register: { cameras = [] } }: { register: Register }): JSX.Element {
  const { data, problem } = useLoaded<{ items: Clip[] }>(`${ROOT}/clips?limit=100`, 4_000);
  const shell = useShell();
  if (!data) return <Waiting problem={problem} />;
  const named = (id: string): string => {
    const camera = cameras.find((one) => one.id === id);
    return camera ? nameOfCamera(camera) : id;
  };
  return (
    <div className="sheet-page wide">
      <Section title={t("centre.cctv.tab.clips")} help={t("centre.cctv.clipsHelp")}>
        <DataTable
          label={t("centre.cctv.tab.clips")} empty={t("centre.cctv.noClips")}
          head={[t("centre.cctv.asked"), t("centre.cctv.camera"), t("centre.cctv.span"), t("centre.cctv.reason"), t("centre.cctv.stateHead"), `-${t("centre.cctv.actions")}`]}
          rows={data.items.map((clip) => ({
            key: clip.id,
            cells: [
              <>{dateTime(clip.at)}<small>{clip.who}</small></>, named(clip.camera), `${exact(clip.start ?? clip.asked_start)} – ${exact(clip.end ?? clip.asked_end).slice(11)}`,
              <span className="wrap">{clip.reason}{clip.event && ` (${clip.event})`}</span>, <><Chip tone={TONES[clip.state]}>{t(`centre.cctv.clip.${clip.state}`)}</Chip>{clip.problem && <small>{clip.problem}</small>}</>,
              <div className="actions">
                <ReadDialog open={t("centre.cctv.custody")} about={`${named(clip.camera)} ${exact(clip.asked_start)}`} title={t("centre.cctv.custody")}><CustodyLog id={clip.id} /></ReadDialog>
                {clip.state === "ready" && <ReadDialog open={t("centre.cctv.watch")} about={`${named(clip.camera)} ${exact(clip.asked_start)}`} title={named(clip.camera)}><video className="cam-video" controls src={`${ROOT}/clips/${clip.id}/blurred`} aria-label={t("centre.cctv.blurredClip", { name: named(clip.camera) })} /></ReadDialog>}
                {clip.state === "ready" && shell.may("centre.clips") && <Original clip={clip} about={`${named(clip.camera)} ${exact(clip.asked_start)}`} />}
              </div>,
            ],
          }))}
        />
      </Section>
    </div>
  );
}

/** The original with faces: for a purpose, as a file. */
function Original({ clip, about }: { clip: Clip; about: string }): JSX.Element {
  return (
    <FormDialog
      open={t("centre.cctv.original")} about={about} title={t("centre.cctv.original")} help={t("centre.cctv.originalHelp")} submit={t("centre.cctv.originalDo")}
      run={async (data) => {
        // A header carries bytes, and the purpose is UTF-8.
        const purpose = String.fromCharCode(...new TextEncoder().encode(String(data.get("purpose"))));
        const address = URL.createObjectURL(await file(`${ROOT}/clips/${clip.id}/video`, { headers: { "hanmaru-purpose": purpose } }));
        Object.assign(document.createElement("a"), { href: address, download: `${clip.id}.mp4` }).click();
        setTimeout(() => URL.revokeObjectURL(address), 60_000);
      }}
    >
      <Field name="purpose" label={t("centre.cctv.purpose")} autoFocus />
    </FormDialog>
  );
}

/** What was done, in the viewer's words where it is one of the steps that every clip goes through. */
function didWords(what: string): string {
  const key = `centre.cctv.did.${what.replace(/:.*/, "").replaceAll(" ", "_")}`;
  return hasMessage(key) ? t(key) : what;
}

function CustodyLog({ id }: { id: string }): JSX.Element {
  const { data, problem } = useLoaded<Whole>(`${ROOT}/clips/${id}`);
  const [open, setOpen] = useState(false);
  if (!data) return <Waiting problem={problem} />;
  return (
    <>
      <p><Chip tone={data.intact ? "good" : "bad"}>{t(data.intact ? "centre.cctv.intact" : "centre.cctv.broken")}</Chip> {data.damage}</p>
      {data.bytes !== null && <p className="help">{t("centre.cctv.size", { megabytes: number(data.bytes / 1e6, 1) })}{data.until && ` · ${t("centre.cctv.keptUntil", { time: dateTime(data.until) })}`}</p>}
      <ol className="course">
        {data.custody.map((entry) => <li key={entry.seq}><b>{didWords(entry.what)}</b><span>{dateTime(entry.at)} · {entry.who}{entry.detail && ` · ${entry.detail}`}</span>{open && entry.sha256 && <code>{entry.sha256}</code>}</li>)}
      </ol>
      <label className="board-check"><input type="checkbox" checked={open} onChange={(event) => setOpen(event.target.checked)} />{t("centre.cctv.hashes")}</label>
    </>
  );
}

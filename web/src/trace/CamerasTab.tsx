import { Download } from "lucide";
import { useState, type JSX } from "react";
import { Button } from "react-aria-components";
import { instantOf, number } from "../format";
import { t } from "../i18n";
import { Choice, FormDialog } from "../office/parts";
import { reason } from "../problems";
import { Icon } from "../ui/Icon";
import type { Course } from "./course";
import { ask, download, useShell } from "./data";
import { percent, span, word } from "./words";

const written = (value: string): string | undefined => (instantOf(value.replace("T", " ")) ? undefined : t("audit.badTime"));

/** Which cameras could have seen the person, and at which minutes: the list to fetch footage by. What was seen comes back here. */
export function CamerasTab({ id, course, changed }: { id: string; course: Course; changed: () => Promise<void> }): JSX.Element {
  const shell = useShell();
  const [failure, setFailure] = useState<unknown>();
  const { cameras } = course.results;
  const path = `/cases/${encodeURIComponent(id)}`;
  return (
    <section className="cameras" aria-label={t("trace.cameras")}>
      <div className="side-tools">
        <p className="help">{t("trace.cameras.help")}</p>
        <Button className="button" isDisabled={cameras.length === 0} onPress={() => { setFailure(undefined); download(id, `${path}/cameras.csv`, `cameras-${id}.csv`).catch(setFailure); }}><Icon node={Download} size={16} />{t("trace.cameras.download")}</Button>
      </div>
      {failure !== undefined && <p role="alert" className="problem">{reason(failure)}</p>}
      {cameras.length === 0 && <p className="hint">{t("trace.cameras.none")}</p>}
      <ul className="camera-list">
        {cameras.map((camera) => (
          <li key={camera.camera_id} className="contact">
            <h2><Button className="link" onPress={() => (course.look.value = { lon: camera.lon, lat: camera.lat, radius_m: 40 })}>{camera.camera_id}</Button></h2>
            <ul className="windows-list">
              {camera.windows.map((window) => (
                <li key={window.start}><Button className="link small" onPress={() => { course.look.value = { lon: camera.lon, lat: camera.lat, radius_m: 40 }; course.goTo(Date.parse(window.start)); }}>{span(window)}</Button> <span>{percent(window.probability)}</span></li>
              ))}
            </ul>
            {shell.may("trace.investigate") && (
              <div className="actions">
                <FormDialog open={t("trace.sighting.add")} about={camera.camera_id} title={t("trace.sighting.title", { camera: camera.camera_id })} help={t("trace.sighting.help")} submit={t("office.save")} done={changed}
                  fields={[
                    { name: "time", label: t("trace.sighting.time"), initial: span(camera.windows[0] ?? { start: new Date().toISOString() }).slice(0, 16), check: written },
                    { name: "end", label: t("trace.sighting.end"), optional: true, check: written },
                  ]}
                  run={async (data) => {
                    const end = String(data.get("end") ?? "").trim();
                    await ask(id, `${path}/sightings`, "POST", { camera_id: camera.camera_id, time: instantOf(String(data.get("time"))), ...(end && { end: instantOf(end) }), certainty: String(data.get("certainty")), reviewer: shell.session.name });
                  }}>
                  <Choice name="certainty" label={t("trace.certainty")} options={[["sure", word("certainty", "sure")], ["unsure", word("certainty", "unsure")]]} />
                </FormDialog>
              </div>
            )}
          </li>
        ))}
      </ul>
      {cameras.length > 0 && <p className="help">{t("trace.cameras.count", { count: number(cameras.length) })}</p>}
    </section>
  );
}

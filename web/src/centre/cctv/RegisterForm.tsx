import { useState, type FormEvent, type JSX } from "react";
import { Button, Form } from "react-aria-components";
import { api } from "../../api";
import { t } from "../../i18n";
import { useLoaded } from "../../office/data";
import { Section, Waiting } from "../../office/parts";
import { reason } from "../../problems";
import { Field } from "../../ui/Field";
import { useShell, useTitle } from "../../ui/page";
import { LineEditor } from "./LineEditor";
import { nameOfCamera } from "./data";
import { ROOT } from "./stream";
import type { Camera, CountLine } from "./types";

const USES = ["crimePrevention", "traffic", "disaster", "facility", "other"] as const;
const within = (low: number, high: number) => (value: string): string | undefined => (Number(value) >= low && Number(value) <= high ? undefined : t("centre.board.between", { low, high }));

export function EditCamera({ id }: { id: string }): JSX.Element {
  const { data, problem } = useLoaded<Camera>(`${ROOT}/cameras/${encodeURIComponent(id)}`);
  return data ? <RegisterForm camera={data} /> : <Waiting problem={problem} />;
}

/** Registers a camera, or changes one. */
export function RegisterForm({ camera }: { camera?: Camera }): JSX.Element {
  const shell = useShell();
  const [lines, setLines] = useState<CountLine[]>(camera?.lines ?? []);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [lon, lat] = camera?.location.coordinates ?? shell.city.centre;
  useTitle(camera ? nameOfCamera(camera) : t("centre.cctv.tab.new"));

  async function send(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const given = (name: string): string => String(data.get(name) ?? "").trim();
    const address = given("address");
    const kind = given("kind");
    const source = address ? { kind, address } : camera?.source ? { kind: camera.source.kind } : null;
    const body = {
      name: { ...(given("ko") ? { ko: given("ko") } : {}), ...(given("en") ? { en: given("en") } : {}) },
      location: { type: "Point", coordinates: [Number(given("lon")), Number(given("lat"))] },
      direction_deg: Number(given("direction")), fov_deg: Number(given("fov")), range_m: Number(given("range")), source, use: given("use"), retention_days: Number(given("days")),
      record: data.has("record"), analyse: data.has("analyse"), lines, zones: camera?.zones ?? [],
    };
    setBusy(true);
    setProblem("");
    try {
      const kept = camera ? await api.put<Camera>(`${ROOT}/cameras/${encodeURIComponent(camera.id)}`, body) : await api.post<Camera>(`${ROOT}/cameras`, body);
      shell.go(`/cctv/${encodeURIComponent(kept.id)}`);
    } catch (error) {
      setProblem(reason(error));
      setBusy(false);
    }
  }
  const choice = (name: string, label: string, options: (readonly [string, string])[], initial: string): JSX.Element => (
    <label className="field"><span>{label}</span><select name={name} defaultValue={initial}>{options.map(([value, title]) => <option key={value} value={value}>{title}</option>)}</select></label>
  );
  return (
    <div className="sheet-page">
      <h1>{camera ? nameOfCamera(camera) : t("centre.cctv.tab.new")}</h1>
      <Form className="cam-form" onSubmit={(event) => void send(event as FormEvent<HTMLFormElement>)}>
        <Section title={t("centre.cctv.part.what")}>
          <div className="pair">
            <Field name="ko" label={t("centre.cctv.nameKo")} initial={camera?.name.ko ?? ""} />
            <Field name="en" label={t("centre.cctv.nameEn")} optional initial={camera?.name.en ?? ""} />
          </div>
          {choice("use", t("centre.cctv.use"), USES.map((use) => [use, t(`centre.cctv.use.${use}`)] as const), camera?.use ?? "crimePrevention")}
          <div className="pair">
            {choice("kind", t("centre.cctv.source"), [["rtsp", "RTSP"], ["file", t("centre.cctv.file")]], camera?.source?.kind ?? "rtsp")}
            <Field name="address" label={t("centre.cctv.address")} optional help={t(camera?.source ? "centre.cctv.addressKept" : "centre.cctv.addressHelp")} spellCheck={false} />
          </div>
        </Section>
        <Section title={t("centre.cctv.part.where")}>
          <div className="pair">
            <Field name="lat" label={t("centre.board.lat")} inputMode="decimal" initial={String(lat)} check={within(-90, 90)} />
            <Field name="lon" label={t("centre.board.lon")} inputMode="decimal" initial={String(lon)} check={within(-180, 180)} />
          </div>
          <div className="board-area">
            <Field name="direction" label={t("centre.cctv.direction")} inputMode="decimal" initial={String(camera?.direction_deg ?? 0)} check={within(0, 359.99)} />
            <Field name="fov" label={t("centre.cctv.fov")} inputMode="decimal" initial={String(camera?.fov_deg ?? 90)} check={within(1, 360)} />
            <Field name="range" label={t("centre.cctv.range")} inputMode="decimal" initial={String(camera?.range_m ?? 60)} check={within(1, 5000)} />
          </div>
        </Section>
        <Section title={t("centre.cctv.part.kept")}>
          <label className="board-check"><input type="checkbox" name="record" defaultChecked={camera?.record ?? false} />{t("centre.cctv.record")}</label>
          <Field name="days" label={t("centre.cctv.retention")} inputMode="numeric" initial={String(camera?.retention_days ?? 30)} check={within(1, 90)} />
          <label className="board-check"><input type="checkbox" name="analyse" defaultChecked={camera?.analyse ?? true} />{t("centre.cctv.analyse")}</label>
        </Section>
        {camera && <Section title={t("centre.cctv.lines")}><LineEditor camera={camera.id} name={nameOfCamera(camera)} lines={lines} change={setLines} /></Section>}
        <p className="problem" role="alert">{problem}</p>
        <div className="dialog-end"><Button className="button" onPress={() => shell.go(camera ? `/cctv/${encodeURIComponent(camera.id)}` : "/cctv")}>{t("office.cancel")}</Button><Button type="submit" className="button primary" isDisabled={busy}>{t("office.save")}</Button></div>
      </Form>
    </div>
  );
}

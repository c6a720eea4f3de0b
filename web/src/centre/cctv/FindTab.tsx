import { Search } from "lucide";
import { useEffect, useMemo, useState, type JSX } from "react";
import { Button, Input, Label, TextField } from "react-aria-components";
import { api } from "../../api";
import { nameOf, number } from "../../format";
import { t } from "../../i18n";
import { Chip } from "../../office/parts";
import { Icon } from "../../ui/Icon";
import { To, useShell } from "../../ui/page";
import { CameraMapView } from "./CameraMapView";
import { MOST_ON_WALL, nameOfCamera, onWall, setWall, type Register } from "./data";
import type { At } from "./map";
import { ROOT } from "./stream";
import type { Camera, State } from "./types";
import { Picture } from "./View";

const MOST_ROWS = 100;
const MOST_PLACES = 5;
const WAIT_MS = 300;
export const TONES: Record<State, "good" | "bad" | undefined> = { live: "good", lost: "bad", off: undefined };

/** Which of the found go on a wall: first those that have something to show. */
const watched = (found: readonly Camera[]): string[] => [...found.filter(({ state }) => state !== "off"), ...found.filter(({ state }) => state === "off")].map(({ id }) => id);

interface Place {
  id: string;
  name: unknown;
  location?: { type: string; coordinates: unknown } | null;
}

/** Finds cameras by name, at a place, or by what is nearest to a point on the map. */
export function FindTab({ register: { cameras = [], notice, problem } }: { register: Register }): JSX.Element {
  const shell = useShell();
  const [query, setQuery] = useState("");
  const [chosen, setChosen] = useState("");
  const [mark, setMark] = useState<At | null>(null);
  const [near, setNear] = useState<Camera[] | null>(null);
  const [places, setPlaces] = useState<Place[]>([]);
  const [goTo, setGoTo] = useState<At | null>(null);
  const [said, setSaid] = useState("");
  const [failed, setFailed] = useState("");
  const wish = query.trim().toLowerCase();
  const found = useMemo(() => near ?? cameras.filter((camera) => !wish || `${camera.id}\n${Object.values(camera.name).join("\n")}`.toLowerCase().includes(wish)), [near, cameras, wish]);
  const one = cameras.find(({ id }) => id === chosen);

  useEffect(() => {
    setPlaces([]);
    if (wish.length < 2 || near) return undefined;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      api.get<Place[] | { items: Place[] }>(`/api/centre/v1/search?q=${encodeURIComponent(wish)}`, abort.signal)
        .then((answer) => setPlaces((Array.isArray(answer) ? answer : answer.items).filter(({ location, id }) => location?.type === "Point" && !id.includes(":Camera:")).slice(0, MOST_PLACES)), () => undefined);
    }, WAIT_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [wish, near]);

  async function ask(at: At): Promise<void> {
    setMark(at);
    setFailed("");
    try {
      const { items } = await api.get<{ items: Camera[] }>(`${ROOT}/cameras?near=${at[0].toFixed(6)},${at[1].toFixed(6)}&limit=${MOST_ON_WALL}`);
      setNear(items);
      setSaid(items[0] ? t("centre.cctv.nearestIs", { name: nameOfCamera(items[0]), metres: number(Math.round(items[0].distance_m ?? 0)) }) : t("centre.cctv.none"));
    } catch (error) {
      setFailed(String(error instanceof Error ? error.message : error));
    }
  }
  function choose(id: string): void {
    setChosen(id);
    const camera = cameras.find((candidate) => candidate.id === id);
    if (camera) setGoTo([...camera.location.coordinates]);
  }
  const everywhere = (): void => {
    setNear(null);
    setMark(null);
  };

  return (
    <div className="cam-find">
      <div className="cam-side">
        <TextField className="find" value={query} onChange={(value) => { setQuery(value); everywhere(); }} type="search">
          <Label className="visually-hidden">{t("centre.cctv.find")}</Label><Icon node={Search} size={16} /><Input placeholder={t("centre.cctv.find")} autoComplete="off" />
        </TextField>
        <p className="visually-hidden" role="status">{said}</p>
        {(problem || failed) && <p className="problem" role="alert">{problem || failed}</p>}
        {notice && <p className="notice">{shell.text(notice)}</p>}
        {places.length > 0 && (
          <section aria-label={t("centre.cctv.nearPlace")} className="cam-places">
            <h2>{t("centre.cctv.nearPlace")}</h2>
            <ul>{places.map((place) => <li key={place.id}><Button className="link" onPress={() => { const at = place.location!.coordinates as At; setGoTo([...at]); void ask(at); }}>{nameOf(place.id, { name: place.name })}</Button></li>)}</ul>
          </section>
        )}
        <div className="cam-count">
          <p role="status">{near ? t("centre.cctv.nearest", { count: number(found.length) }) : t("centre.cctv.count", { count: number(found.length) })}</p>
          {near && <Button className="button small" onPress={everywhere}>{t("centre.cctv.all")}</Button>}
          {found.length > 0 && <Button className="button small" onPress={() => { setWall(watched(found)); shell.go("/cctv/wall"); }}>{t("centre.cctv.showOnWall", { count: number(Math.min(MOST_ON_WALL, found.length)) })}</Button>}
        </div>
        <ul className="cam-list" aria-label={t("centre.cctv.cameras")}>
          {found.slice(0, MOST_ROWS).map((camera) => (
            <li key={camera.id} data-selected={camera.id === chosen || undefined}>
              <button type="button" className="link" aria-pressed={camera.id === chosen} onClick={() => choose(camera.id)}>{nameOfCamera(camera)}</button>
              {typeof camera.distance_m === "number" && <small>{t("centre.cctv.metres", { metres: number(Math.round(camera.distance_m)) })}{camera.sees ? ` · ${t("centre.cctv.seesIt")}` : ""}</small>}
              <Chip tone={TONES[camera.state]}>{t(`centre.cctv.state.${camera.state}`)}</Chip>
            </li>
          ))}
        </ul>
        {found.length > MOST_ROWS && <p className="hint">{t("centre.cctv.more", { count: number(found.length - MOST_ROWS) })}</p>}
      </div>
      <div className="cam-where">
        <CameraMapView cameras={cameras} chosen={chosen} mark={mark} goTo={goTo} pick={choose} ask={(at) => void ask(at)} />
        {one && (
          <aside className="cam-peek" aria-label={nameOfCamera(one)}>
            <Picture id={one.id} name={nameOfCamera(one)} />
            <div className="actions">
              <To className="button" path={`/cctv/${encodeURIComponent(one.id)}`}>{t("centre.cctv.open")}</To>
              <Button className="button" isDisabled={onWall().includes(one.id) || onWall().length >= MOST_ON_WALL} onPress={() => { setWall([...onWall(), one.id]); setSaid(t("centre.cctv.added", { name: nameOfCamera(one) })); }}>{t("centre.cctv.add")}</Button>
              <Button className="button" onPress={() => { const at: At = [...one.location.coordinates]; void ask(at); }}>{t("centre.cctv.nearThis")}</Button>
            </div>
          </aside>
        )}
      </div>
    </div>
  );
}

import { useState, type JSX } from "react";
import { attrLabel } from "../../format";
import { t, text } from "../../i18n";
import { Choice, FormDialog } from "../../office/parts";
import type { Manifest } from "../../types";
import { Field } from "../../ui/Field";
import { useShell } from "../../ui/page";
import { AGGREGATES, KINDS, typesOf, type Ask, type Kind, type Tile } from "./model";

const SIZES: Record<Kind, [number, number]> = { value: [3, 2], chart: [6, 3], events: [6, 4], list: [4, 4], text: [3, 2] };
const HOURS = [1, 6, 24, 72, 168, 744];

/** Makes a tile, or changes one: what it shows, of what, where. */
export function TileForm({ tile, about, manifest, keep }: { tile?: Tile; about?: string; manifest: Manifest; keep: (tile: Omit<Tile, "x" | "y">) => void }): JSX.Element {
  return (
    <FormDialog
      open={t(tile ? "centre.board.edit" : "centre.board.add")} {...(about ? { about } : {})} title={t(tile ? "centre.board.editTile" : "centre.board.addTile")} submit={t("centre.board.take")}
      run={async (data) => keep(read(data, tile))}
    >
      <Fields tile={tile} manifest={manifest} />
    </FormDialog>
  );
}

function Fields({ tile, manifest }: { tile: Tile | undefined; manifest: Manifest }): JSX.Element {
  const shell = useShell();
  const types = typesOf(manifest);
  const [kind, setKind] = useState<string>(tile?.kind ?? "value");
  const [type, setType] = useState(tile?.ask?.type ?? "AirQualityObserved");
  const [agg, setAgg] = useState<string>(tile?.ask?.agg ?? "mean");
  const [around, setAround] = useState(tile?.ask?.area ? "around" : "city");
  const area = tile?.ask?.area;
  const [lon, lat] = area?.at ?? shell.city.centre;
  const attrs = types.find((layer) => layer.type === type)?.attrs ?? [];
  const asks = kind === "value" || kind === "chart" || kind === "list";
  const counts = kind === "value" && agg === "count";
  const title = typeof tile?.title === "object" ? text(tile.title) : tile?.title ?? "";
  return (
    <>
      <Choice name="kind" label={t("centre.board.shows")} value={kind} onChange={setKind} options={KINDS.map((one) => [one, t(`centre.board.kind.${one}`)] as const)} />
      <Field name="title" label={t("centre.board.title")} optional initial={title} help={asks ? t("centre.board.titleHelp") : undefined} />
      {kind === "text" && <label className="field"><span>{t("centre.board.kind.text")}</span><textarea name="text" rows={4} maxLength={2000} defaultValue={tile?.text ?? ""} /></label>}
      {asks && (
        <>
          <Choice name="type" label={t("centre.board.of")} value={type} onChange={setType} options={types.map((layer) => [layer.type, text(layer.title)] as const)} />
          {kind !== "list" && <Choice name="agg" label={t("centre.board.agg")} value={agg} onChange={setAgg} options={AGGREGATES.filter((one) => kind === "value" || one !== "count").map((one) => [one, t(`centre.board.agg.${one}`)] as const)} />}
          {!counts && (attrs.length === 0 ? <p className="problem">{t("centre.board.noAttrs")}</p> : <Attrs key={type} attrs={attrs} initial={tile?.ask?.attr} />)}
          {kind === "list" && <Choices name="order" label={t("centre.board.order")} initial={tile?.ask?.order ?? "high"} options={[["high", t("centre.board.order.high")], ["low", t("centre.board.order.low")]]} />}
          {kind === "chart" && <Choices name="hours" label={t("chart.range")} initial={String(tile?.ask?.hours ?? 24)} options={HOURS.map((hours) => [String(hours), hours < 72 ? t("chart.hours", { count: hours }) : t("chart.days", { count: hours / 24 })] as const)} />}
          {kind === "chart" && <Choices name="bars" label={t("centre.board.drawn")} initial={tile?.bars ? "bars" : "line"} options={[["line", t("centre.board.line")], ["bars", t("centre.board.bars")]]} />}
          <Field name="q" label={t("centre.board.q")} optional initial={tile?.ask?.q ?? ""} help={t("centre.board.qHelp")} />
          <Choice name="where" label={t("centre.board.where")} value={around} onChange={setAround} options={[["city", t("centre.board.city")], ["around", t("centre.board.around")]]} />
          {around === "around" && (
            <div className="board-area">
              <Field name="lat" label={t("centre.board.lat")} inputMode="decimal" initial={String(lat)} check={within(-90, 90)} />
              <Field name="lon" label={t("centre.board.lon")} inputMode="decimal" initial={String(lon)} check={within(-180, 180)} />
              <Field name="radius" label={t("centre.board.radius")} inputMode="numeric" initial={String(area?.radius_m ?? 1000)} check={within(1, 200_000)} />
            </div>
          )}
        </>
      )}
    </>
  );
}

const within = (low: number, high: number) => (value: string): string | undefined => (Number(value) >= low && Number(value) <= high ? undefined : t("centre.board.between", { low, high }));

function Attrs({ attrs, initial }: { attrs: Manifest["layers"][number]["attrs"]; initial: string | undefined }): JSX.Element {
  return <Choices name="attr" label={t("centre.board.attr")} initial={attrs.some(({ name }) => name === initial) ? initial! : attrs[0]!.name} options={attrs.map((attr) => [attr.name, attrLabel(attr.name, attr)] as const)} />;
}

/** A choice that keeps its own value. */
function Choices({ name, label, options, initial }: { name: string; label: string; options: (readonly [string, string])[]; initial: string }): JSX.Element {
  const [value, setValue] = useState(initial);
  return <Choice name={name} label={label} options={options} value={value} onChange={setValue} />;
}

function read(data: FormData, before: Tile | undefined): Omit<Tile, "x" | "y"> {
  const given = (name: string): string => String(data.get(name) ?? "").trim();
  const kind = given("kind") as Kind;
  const [w, h] = before?.kind === kind ? [before.w, before.h] : SIZES[kind];
  const tile = { id: before?.id ?? `t${crypto.getRandomValues(new Uint32Array(1))[0]!.toString(36)}`, kind, w, h, title: given("title") };
  if (kind === "text") return { ...tile, text: given("text") };
  if (kind === "events") return tile;
  const agg = (given("agg") || "mean") as NonNullable<Ask["agg"]>;
  const ask: Ask = {
    want: kind === "chart" ? "series" : kind, type: given("type"), attr: given("attr"), agg, q: given("q"), hours: Number(given("hours") || 24), order: (given("order") || "high") as "high" | "low",
    area: given("where") === "around" ? { at: [Number(given("lon")), Number(given("lat"))], radius_m: Number(given("radius")) } : null,
  };
  return { ...tile, ask, bars: given("bars") === "bars" };
}

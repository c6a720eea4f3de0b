import { ArrowDown, ArrowUp, ChevronLeft, ChevronRight } from "lucide";
import { useEffect, useState, type JSX } from "react";
import { Button, Input, Label, TextField } from "react-aria-components";
import { api } from "../api";
import { age, nameOf, number, observedAt, stepColour, withUnit } from "../format";
import { language, t, text } from "../i18n";
import type { Model } from "../model";
import { throttled, useValue } from "../state";
import type { Attr, Entity } from "../types";
import { Icon } from "./Icon";
import { swatch } from "./swatch";

const PAGE = 50;
const REFRESH_MS = 2000;
const WAIT_MS = 180;
interface Rows {
  items: Omit<Entity, "geometry">[];
  count: number;
}

type Column = "name" | "updated" | Attr;

/** A layer's entities as a table: the same as the map, for eyes that scan and for those who cannot see a map. */
export function TableView({ model }: { model: Model }): JSX.Element {
  const layerId = useValue(model.tableLayer);
  const { layers } = model.manifest;
  const { counts } = useValue(model.store.city);
  const layer = model.layer(layerId) ?? layers.findLast((one) => counts[one.type]) ?? layers[0];
  const [sort, setSort] = useState<{ by: string; down: boolean }>({ by: "name", down: false });
  const [filter, setFilter] = useState("");
  const [page, setPage] = useState(0);
  const [rows, setRows] = useState<Rows>();
  const narrowed = useValue(model.filter);
  const past = useValue(model.source).kind === "replay";
  const tag = useValue(language);
  const [version, setVersion] = useState(0);
  useEffect(() => model.store.city.watch(throttled(REFRESH_MS, () => setVersion((times) => times + 1))), [model]);

  useEffect(() => {
    if (!layer) return;
    const abort = new AbortController();
    const query = new URLSearchParams({ sort: sort.by, lang: tag, text: filter.trim(), after: String(page * PAGE), limit: String(PAGE) });
    if (sort.down) query.set("down", "1");
    if (narrowed) query.set("filter", narrowed);
    const timer = setTimeout(() => {
      api.get<Rows>(`/api/centre/v1/layers/${encodeURIComponent(layer.id)}?${query}`, abort.signal).then(setRows, () => undefined);
    }, filter ? WAIT_MS : 0);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [layer, sort, filter, page, narrowed, tag, version]);

  if (!layer) return <div className="table-view"><p className="hint">{t("layers.empty")}</p></div>;
  const count = rows?.count ?? 0;
  const shown = (rows?.items ?? []).map((row): Entity => ({ ...row, geometry: null }));
  const pages = Math.max(1, Math.ceil(count / PAGE));
  const at = Math.min(page, pages - 1);
  const columns: Column[] = ["name", ...layer.attrs, "updated"];
  const title = text(layer.title);
  return (
    <div className="table-view">
      <div className="table-tools">
        <label className="field">
          <span>{t("table.layer")}</span>
          <select value={layer.id} onChange={(event) => { model.tableLayer.value = event.target.value; setPage(0); }}>
            {model.manifest.layers.toReversed().map((one) => <option key={one.id} value={one.id}>{text(one.title)} ({number(counts[one.type] ?? 0)})</option>)}
          </select>
        </label>
        <TextField className="field" value={filter} onChange={(value) => { setFilter(value); setPage(0); }}>
          <Label>{t("table.filter")}</Label>
          <Input type="search" />
        </TextField>
      </div>
      {past && <p className="hint" role="status">{t("table.present")}</p>}
      <div className="table-scroll" tabIndex={0} role="region" aria-label={title}>
        <table>
          <caption className="visually-hidden">{t("table.caption", { name: title, count: number(count) })}</caption>
          <thead>
            <tr>
              {columns.map((column) => {
                const by = typeof column === "string" ? column : column.name;
                const label = typeof column === "string" ? t(`table.${column}`) : text(column.label);
                const on = sort.by === by;
                return (
                  <th key={by} scope="col" aria-sort={on ? (sort.down ? "descending" : "ascending") : "none"} data-number={(typeof column !== "string" && isNumber(column)) || undefined}>
                    <Button className="sort" aria-label={t("table.sort", { name: label })} onPress={() => { setSort({ by, down: on ? !sort.down : false }); setPage(0); }}>
                      {label}
                      {on && <Icon node={sort.down ? ArrowDown : ArrowUp} size={13} />}
                    </Button>
                  </th>
                );
              })}
            </tr>
          </thead>
          <tbody>{shown.map((entity) => <Row key={entity.id} model={model} entity={entity} columns={columns} />)}</tbody>
        </table>
        {rows && count === 0 && <p className="hint">{t(filter ? "search.none" : "layers.empty")}</p>}
      </div>
      <nav className="pager" aria-label={title}>
        <span>{t("table.rows", { from: number(count ? at * PAGE + 1 : 0), to: number(at * PAGE + shown.length), count: number(count) })}</span>
        <Button className="icon-button" aria-label={t("table.previous")} isDisabled={at === 0} onPress={() => setPage(at - 1)}><Icon node={ChevronLeft} /></Button>
        <Button className="icon-button" aria-label={t("table.next")} isDisabled={at >= pages - 1} onPress={() => setPage(at + 1)}><Icon node={ChevronRight} /></Button>
      </nav>
    </div>
  );
}

/** Whether an attribute is declared as a number is. */
function isNumber(attr: Attr): boolean {
  return attr.decimals !== null || attr.unit !== "" || attr.steps.length > 0;
}

function Row({ model, entity, columns }: { model: Model; entity: Entity; columns: Column[] }): JSX.Element {
  const selected = useValue(model.selected) === entity.id;
  const when = observedAt(entity.values);
  return (
    <tr data-selected={selected || undefined}>
      {columns.map((column) => {
        if (column === "name") {
          return (
            <th key="name" scope="row">
              <Button className="link" onPress={() => model.select(entity.id)}>{nameOf(entity.id, entity.values)}</Button>
            </th>
          );
        }
        if (column === "updated") return <td key="updated">{when ? age(when) : t("value.none")}</td>;
        const value = entity.values[column.name];
        const colour = stepColour(value, column);
        return (
          <td key={column.name} data-number={typeof value === "number" || undefined}>
            {colour && <span className="dot" style={swatch(colour)} aria-hidden="true" />}
            {withUnit(value, column)}
          </td>
        );
      })}
    </tr>
  );
}

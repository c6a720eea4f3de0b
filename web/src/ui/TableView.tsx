import { ArrowDown, ArrowUp, ChevronLeft, ChevronRight } from "lucide";
import { useMemo, useState, type JSX } from "react";
import { Button, Input, Label, TextField } from "react-aria-components";
import { age, nameOf, number, observedAt, stepColour, withUnit } from "../format";
import { language, t, text } from "../i18n";
import type { Model } from "../model";
import { useValue } from "../state";
import type { Attr, Entity } from "../types";
import { Icon } from "./Icon";
import { swatch } from "./swatch";
import { useStoreChanges } from "./useStore";

const PAGE = 50;
type Column = "name" | "updated" | Attr;

/** A layer's entities as a table: the same as the map, for eyes that scan and for those who cannot see a map. */
export function TableView({ model }: { model: Model }): JSX.Element {
  const layerId = useValue(model.tableLayer);
  const { layers } = model.manifest;
  const layer = model.layer(layerId) ?? layers.findLast((one) => model.store.ofType(one.type).size > 0) ?? layers[0];
  const [sort, setSort] = useState<{ by: string; down: boolean }>({ by: "name", down: false });
  const [filter, setFilter] = useState("");
  const [page, setPage] = useState(0);
  const version = useStoreChanges(model.store, 1000);
  const tag = useValue(language);

  const rows = useMemo(() => {
    const collator = new Intl.Collator(tag, { numeric: true });
    const wanted = filter.trim().toLowerCase();
    const found: Entity[] = [];
    for (const id of layer ? model.store.ofType(layer.type) : []) {
      const entity = model.store.entities.get(id);
      if (entity && (!wanted || nameOf(id, entity.values).toLowerCase().includes(wanted) || id.toLowerCase().includes(wanted))) found.push(entity);
    }
    const key = (entity: Entity): unknown =>
      sort.by === "name" ? nameOf(entity.id, entity.values) : sort.by === "updated" ? observedAt(entity.values) : entity.values[sort.by];
    const keyed = found.map((entity) => [key(entity), entity] as const);
    keyed.sort(([a], [b]) => {
      if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
      const order = typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b));
      return sort.down ? -order : order;
    });
    return keyed.map(([, entity]) => entity);
  }, [model, layer, sort, filter, tag, version]);

  if (!layer) return <div className="table-view"><p className="hint">{t("layers.empty")}</p></div>;
  const pages = Math.max(1, Math.ceil(rows.length / PAGE));
  const at = Math.min(page, pages - 1);
  const shown = rows.slice(at * PAGE, (at + 1) * PAGE);
  const columns: Column[] = ["name", ...layer.attrs, "updated"];
  const title = text(layer.title);
  return (
    <div className="table-view">
      <div className="table-tools">
        <label className="field">
          <span>{t("table.layer")}</span>
          <select value={layer.id} onChange={(event) => { model.tableLayer.value = event.target.value; setPage(0); }}>
            {model.manifest.layers.toReversed().map((one) => <option key={one.id} value={one.id}>{text(one.title)} ({number(model.store.ofType(one.type).size)})</option>)}
          </select>
        </label>
        <TextField className="field" value={filter} onChange={(value) => { setFilter(value); setPage(0); }}>
          <Label>{t("table.filter")}</Label>
          <Input type="search" />
        </TextField>
      </div>
      <div className="table-scroll" tabIndex={0} role="region" aria-label={title}>
        <table>
          <caption className="visually-hidden">{t("table.caption", { name: title, count: number(rows.length) })}</caption>
          <thead>
            <tr>
              {columns.map((column) => {
                const by = typeof column === "string" ? column : column.name;
                const label = typeof column === "string" ? t(`table.${column}`) : text(column.label);
                const on = sort.by === by;
                return (
                  <th key={by} scope="col" aria-sort={on ? (sort.down ? "descending" : "ascending") : "none"} data-number={(typeof column !== "string" && isNumber(column)) || undefined}>
                    <Button className="sort" aria-label={t("table.sort", { name: label })} onPress={() => setSort({ by, down: on ? !sort.down : false })}>
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
        {rows.length === 0 && <p className="hint">{t(filter ? "search.none" : "layers.empty")}</p>}
      </div>
      <nav className="pager" aria-label={title}>
        <span>{t("table.rows", { from: number(rows.length ? at * PAGE + 1 : 0), to: number(at * PAGE + shown.length), count: number(rows.length) })}</span>
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

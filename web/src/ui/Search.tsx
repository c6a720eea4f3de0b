import { MapPin, Search as SearchIcon, X } from "lucide";
import { useEffect, useMemo, useRef, useState, type JSX } from "react";
import { Button, ComboBox, Input, ListBox, ListBoxItem, Popover, Text } from "react-aria-components";
import type { Geometry } from "geojson";
import { api } from "../api";
import { nameOf } from "../format";
import { t, text, useLanguage } from "../i18n";
import { boundsOf } from "../map/citymap";
import { ICONS } from "../map/icons";
import type { Model } from "../model";
import { Icon } from "./Icon";
import { swatch } from "./swatch";

interface Hit {
  id: string;
  type: string | string[];
  name: unknown;
  location: Geometry | null;
}

interface Option {
  id: string;
  name: string;
  kind: string;
  colour?: string;
  icon: string;
  choose: () => void;
}

const WAIT_MS = 180;

/** Finds entities by name or id in the hub, and the city's districts on the basemap. */
export function Search({ model }: { model: Model }): JSX.Element {
  const language = useLanguage();
  const [input, setInput] = useState("");
  const [hits, setHits] = useState<Hit[]>([]);
  const [busy, setBusy] = useState(false);
  const chosen = useRef("");
  const query = input.trim();

  useEffect(() => {
    if (!query || query === chosen.current) {
      setHits([]);
      setBusy(false);
      return;
    }
    const abort = new AbortController();
    setBusy(true);
    const timer = setTimeout(() => {
      api.get<Hit[]>(`/api/centre/v1/search?q=${encodeURIComponent(query)}`, abort.signal).then(
        (found) => { setHits(found); setBusy(false); },
        () => { if (!abort.signal.aborted) { setHits([]); setBusy(false); } },
      );
    }, WAIT_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [query]);

  const places = useMemo(
    () => (model.basemap.dongs?.features ?? []).map((feature) => {
      const properties = (feature.properties ?? {}) as Record<string, unknown>;
      return { feature, names: Object.entries(properties).filter(([key]) => key.startsWith("name")).map(([, value]) => String(value)), properties };
    }),
    [model],
  );

  const options: Option[] = [];
  if (query && query !== chosen.current) {
    for (const { feature, names, properties } of places) {
      if (!names.some((name) => name.toLowerCase().includes(query.toLowerCase()))) continue;
      const name = String(properties[`name_${language}`] ?? properties.name ?? names[0]);
      options.push({
        id: `place:${names.join("/")}`, name, kind: t("search.place"), icon: "pin",
        choose: () => {
          const centre = boundsOf({ type: "FeatureCollection", features: [feature] })?.getCenter();
          if (centre) model.goTo.value = { at: [centre.lng, centre.lat], zoom: 13 };
          model.view.value = "map";
        },
      });
      if (options.length === 5) break;
    }
    for (const hit of hits) {
      const types = Array.isArray(hit.type) ? hit.type : [hit.type];
      const layer = model.layerOf({ types });
      options.push({
        id: hit.id,
        name: nameOf(hit.id, hit.name ? { name: hit.name } : {}),
        kind: layer ? text(layer.title) : text(model.manifest.types[types[0] ?? ""], types[0]),
        icon: layer?.icon ?? "circle",
        ...(layer && { colour: layer.colour }),
        choose: () => model.select(hit.id),
      });
    }
  }

  return (
    <ComboBox
      className="search" aria-label={t("search.label")} inputValue={input} onInputChange={setInput} items={options} menuTrigger="input"
      allowsEmptyCollection={query !== "" && query !== chosen.current} allowsCustomValue selectedKey={null}
      onSelectionChange={(key) => {
        const option = options.find((candidate) => candidate.id === key);
        if (!option) return;
        chosen.current = option.name;
        setInput(option.name);
        option.choose();
      }}
    >
      <div className="search-field">
        <Icon node={SearchIcon} size={16} />
        <Input placeholder={t("search.placeholder")} type="search" enterKeyHint="search" />
        {input && (
          <Button slot={null} className="icon-button quiet" aria-label={t("search.clear")} onPress={() => { chosen.current = ""; setInput(""); }}>
            <Icon node={X} size={15} />
          </Button>
        )}
      </div>
      <Popover className="popover search-results" offset={6}>
        <ListBox<Option> renderEmptyState={() => <p className="hint">{t(busy ? "search.searching" : "search.none")}</p>}>
          {(option) => (
            <ListBoxItem id={option.id} textValue={option.name} className="option">
              <span className="swatch-icon" style={swatch(option.colour)}>
                <Icon node={ICONS[option.icon] ?? MapPin} size={14} />
              </span>
              <Text slot="label">{option.name}</Text>
              <Text slot="description">{option.kind}</Text>
            </ListBoxItem>
          )}
        </ListBox>
      </Popover>
    </ComboBox>
  );
}

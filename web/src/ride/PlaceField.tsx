import { Clock3, LocateFixed, MapPin, Search } from "lucide";
import { useEffect, useRef, useState, type JSX } from "react";
import { Button, ComboBox, Input, Label, ListBox, ListBoxItem, Popover, Text } from "react-aria-components";
import { language, t } from "../i18n";
import { Icon } from "../ui/Icon";
import { ask } from "./data";
import type { Found, Place } from "./types";
import { told, word } from "./words";

const WAIT_MS = 200;
const MOST_RECENT = 5;

interface Option {
  id: string;
  place: Place;
  name: string;
  kind: string;
  recent: boolean;
}

/** Chooses a place by its name, among recent ones, where the viewer is, or on the map. */
export function PlaceField({ end, label, place, recent, onChange, onMap }: {
  end: "from" | "to";
  label: string;
  place: Place | null;
  recent: readonly Place[];
  onChange: (place: Place | null) => void;
  onMap: () => void;
}): JSX.Element {
  const shown = place?.label ?? (place ? t("ride.somewhere") : "");
  const [input, setInput] = useState(shown);
  const [hits, setHits] = useState<Found[]>([]);
  const [problem, setProblem] = useState("");
  const [locating, setLocating] = useState(false);
  const query = input.trim();
  const typed = query !== "" && query !== shown;
  useEffect(() => setInput(shown), [shown]);

  const asked = useRef("");
  useEffect(() => {
    if (!typed) {
      setHits([]);
      return undefined;
    }
    const abort = new AbortController();
    const timer = setTimeout(() => {
      ask<{ places: Found[] }>(`/search?q=${encodeURIComponent(query)}&lang=${language.value}`, "GET", undefined, { signal: abort.signal }).then(
        ({ places }) => { asked.current = query; setHits(places); },
        () => { if (!abort.signal.aborted) setHits([]); },
      );
    }, WAIT_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [query, typed]);

  function locate(): void {
    setProblem("");
    setLocating(true);
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        setLocating(false);
        onChange({ lon: coords.longitude, lat: coords.latitude, label: t("ride.here") });
      },
      ({ code }) => {
        setLocating(false);
        setProblem(t(code === GeolocationPositionError.PERMISSION_DENIED ? "ride.hereDenied" : "ride.hereUnknown"));
      },
      { enableHighAccuracy: true, timeout: 10_000, maximumAge: 30_000 },
    );
  }

  const options: Option[] = typed
    ? hits.map((hit, index) => ({ id: `hit${index}`, place: { lon: hit.lon, lat: hit.lat, label: told(hit.name) }, name: told(hit.name), kind: word("kind", hit.kind), recent: false }))
    : recent.filter(({ label: name }) => name).slice(0, MOST_RECENT).map((one, index) => ({ id: `recent${index}`, place: one, name: one.label!, kind: t("ride.recent"), recent: true }));

  return (
    <div className="place-field" data-end={end}>
      <ComboBox<Option>
        className="place-box" inputValue={input} onInputChange={setInput} items={options} allowsCustomValue allowsEmptyCollection={typed && asked.current === query} menuTrigger="focus"
        onSelectionChange={(key) => {
          const chosen = options.find(({ id }) => id === key);
          if (!chosen) return;
          setInput(chosen.name);
          onChange(chosen.place);
        }}
        onBlur={() => (query === "" ? onChange(null) : setInput(shown))}
      >
        <Label className="visually-hidden">{label}</Label>
        <span className="end-mark" aria-hidden="true" />
        <Input placeholder={label} enterKeyHint="search" />
        <Popover className="popover place-results" offset={6}>
          <ListBox<Option> renderEmptyState={() => <p className="hint">{t("ride.nothingFound", { what: query })}</p>}>
            {(option) => (
              <ListBoxItem id={option.id} textValue={option.name} className="option">
                <Icon node={option.recent ? Clock3 : Search} size={16} />
                <Text slot="label">{option.name}</Text>
                <Text slot="description">{option.kind}</Text>
              </ListBoxItem>
            )}
          </ListBox>
        </Popover>
      </ComboBox>
      <Button className="icon-button" aria-label={t(`ride.locate.${end}`)} isDisabled={locating} onPress={locate}><Icon node={LocateFixed} /></Button>
      <Button className="icon-button" aria-label={t(`ride.onMap.${end}`)} onPress={onMap}><Icon node={MapPin} /></Button>
      {problem && <p role="alert" className="problem">{problem}</p>}
    </div>
  );
}

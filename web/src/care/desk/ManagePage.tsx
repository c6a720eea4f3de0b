import type { JSX } from "react";
import { exact, number } from "../../format";
import { t, text } from "../../i18n";
import { Chip, Choice, DataTable, FormDialog, Section, Waiting } from "../../office/parts";
import { useLoaded } from "../../office/data";
import "../../styles/desk.css";
import { Field } from "../../ui/Field";
import { useTitle } from "../../ui/page";
import { ask, ROOT, since, word } from "./data";
import type { Delivery, Overview } from "./types";

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
const REFRESH_MS = 30_000;

type Place = Overview["places"][number];
type Changed = { reload: () => Promise<void> };

/** Measuring places, kiosks, hospitals, who acts for whom, and how deliveries fare. */
export function ManagePage(): JSX.Element {
  const { data, problem, reload } = useLoaded<Overview>(`${ROOT}/manage`);
  useTitle(t("desk.manage"));
  return (
    <div className="sheet-page wide desk-manage">
      <header className="page-head"><div><h1>{t("desk.manage")}</h1><p className="help">{t("desk.manageHelp")}</p></div></header>
      {data ? (
        <>
          <Places data={data} reload={reload} />
          <Kiosks data={data} reload={reload} />
          <Organisations data={data} reload={reload} />
          <Parties data={data} reload={reload} />
        </>
      ) : <Waiting problem={problem} />}
      <Deliveries />
    </div>
  );
}

const id = (form: FormData): string => encodeURIComponent(String(form.get("id")).trim());
const names = (form: FormData): { ko: string; en: string } => ({ ko: String(form.get("ko")).trim(), en: String(form.get("en")).trim() });
const checkId = (value: string): string | undefined => (/^[A-Za-z0-9.-]{1,64}$/.test(value) ? undefined : t("desk.idForm"));

function Places({ data, reload }: { data: Overview } & Changed): JSX.Element {
  return (
    <Section title={t("desk.places")} actions={<PlaceDialog reload={reload} />}>
      <DataTable
        label={t("desk.places")} empty={t("desk.none")} head={[t("desk.name"), t("desk.hours"), t("desk.kiosks"), `-${t("desk.change")}`]}
        rows={data.places.map((place) => ({
          key: place.id,
          cells: [text(place.name), hours(place), number(data.kiosks.filter((one) => one.active && one.place === place.id).length), <PlaceDialog key="change" place={place} reload={reload} />],
        }))}
      />
    </Section>
  );
}

function hours({ hours: open }: Place): string {
  return open ? `${open.days.map((day) => word("days", day)).join(" ")} ${open.opens}–${open.closes}` : "–";
}

function PlaceDialog({ place, reload }: { place?: Place } & Changed): JSX.Element {
  const title = place ? t("desk.changePlace") : t("desk.newPlace");
  const inRange = (most: number) => (value: string): string | undefined => (Number.isFinite(Number(value)) && Math.abs(Number(value)) <= most ? undefined : t("desk.degrees", { most }));
  return (
    <FormDialog
      open={place ? t("desk.change") : title} {...(place ? { about: text(place.name) } : {})} title={title} submit={t("desk.save")} done={reload}
      fields={[
        ...(place ? [] : [{ name: "id", label: t("desk.id"), check: checkId }]),
        { name: "ko", label: t("desk.nameKo"), initial: place?.name.ko ?? "" }, { name: "en", label: t("desk.nameEn"), initial: place?.name.en ?? "" },
        { name: "lon", label: t("desk.lon"), initial: String(place?.position?.[0] ?? ""), check: inRange(180) }, { name: "lat", label: t("desk.lat"), initial: String(place?.position?.[1] ?? ""), check: inRange(90) },
      ]}
      run={async (form) => {
        const days = form.getAll("day");
        const open = days.length ? { hours: { days, opens: form.get("opens"), closes: form.get("closes") } } : {};
        await ask(`/manage/places/${place ? encodeURIComponent(place.id) : id(form)}`, "PUT", { name: names(form), lon: Number(form.get("lon")), lat: Number(form.get("lat")), ...open });
      }}
    >
      <fieldset className="desk-days"><legend>{t("desk.openDays")}</legend>{DAYS.map((day) => <label key={day}><input type="checkbox" name="day" value={day} defaultChecked={place ? place.hours?.days.includes(day) ?? false : !["sat", "sun"].includes(day)} /> {word("days", day)}</label>)}</fieldset>
      <Field name="opens" label={t("desk.opens")} type="time" initial={place?.hours?.opens ?? "09:00"} />
      <Field name="closes" label={t("desk.closes")} type="time" initial={place?.hours?.closes ?? "18:00"} />
    </FormDialog>
  );
}

function Kiosks({ data, reload }: { data: Overview } & Changed): JSX.Element {
  const places = data.places.map((place) => [place.id, text(place.name)] as const);
  const named = new Map(places);
  return (
    <Section
      title={t("desk.kiosks")} help={t("desk.kioskHelp")}
      actions={places.length > 0 && (
        <FormDialog open={t("desk.newKiosk")} title={t("desk.newKiosk")} submit={t("desk.save")} done={reload} fields={[{ name: "account", label: t("desk.account") }, { name: "name", label: t("desk.kioskName"), optional: true }]} run={async (form) => { await ask(`/manage/kiosks/${encodeURIComponent(String(form.get("account")).trim())}`, "PUT", { place: form.get("place"), name: String(form.get("name") ?? "").trim() }); }}>
          <Choice name="place" label={t("desk.place")} options={places} />
        </FormDialog>
      )}
    >
      <DataTable
        label={t("desk.kiosks")} empty={t("desk.none")} head={[t("desk.account"), t("desk.kioskName"), t("desk.place"), t("desk.standing"), `-${t("desk.change")}`]}
        rows={data.kiosks.map((kiosk) => ({
          key: kiosk.id,
          cells: [
            <code key="account">{kiosk.account}</code>, kiosk.name || "–", named.get(kiosk.place) ?? (kiosk.place || "–"), <Chip key="state" tone={kiosk.active ? "good" : "warn"}>{t(kiosk.active ? "desk.inService" : "desk.outOfService")}</Chip>,
            kiosk.active ? <FormDialog key="end" open={t("desk.endKiosk")} about={kiosk.account} title={t("desk.endKiosk")} help={t("desk.endKioskHelp")} submit={t("desk.endKiosk")} danger done={reload} run={async () => { await ask(`/manage/kiosks/${encodeURIComponent(kiosk.account)}`, "DELETE"); }} /> : "–",
          ],
        }))}
      />
    </Section>
  );
}

function Organisations({ data, reload }: { data: Overview } & Changed): JSX.Element {
  return (
    <Section title={t("desk.hospitals")} actions={<OrganisationDialog reload={reload} />}>
      <DataTable
        label={t("desk.hospitals")} empty={t("desk.none")} head={[t("desk.name"), t("desk.id"), t("desk.standing"), `-${t("desk.change")}`]}
        rows={data.organisations.map((one) => ({ key: one.id, cells: [text(one.name), <code key="id">{one.id}</code>, <Chip key="state" tone={one.active ? "good" : "warn"}>{t(one.active ? "desk.takesPart" : "desk.leftOff")}</Chip>, <OrganisationDialog key="change" one={one} reload={reload} />] }))}
      />
    </Section>
  );
}

function OrganisationDialog({ one, reload }: { one?: Overview["organisations"][number] } & Changed): JSX.Element {
  const title = one ? t("desk.changeHospital") : t("desk.newHospital");
  return (
    <FormDialog
      open={one ? t("desk.change") : title} {...(one ? { about: text(one.name) } : {})} title={title} submit={t("desk.save")} done={reload}
      fields={[...(one ? [] : [{ name: "id", label: t("desk.id"), check: checkId }]), { name: "ko", label: t("desk.nameKo"), initial: one?.name.ko ?? "" }, { name: "en", label: t("desk.nameEn"), initial: one?.name.en ?? "" }]}
      run={async (form) => { await ask(`/manage/organisations/${one ? encodeURIComponent(one.id) : id(form)}`, "PUT", { name: names(form), active: form.has("active") }); }}
    >
      <label className="desk-check"><input type="checkbox" name="active" defaultChecked={one?.active ?? true} /> {t("desk.takesPart")}</label>
    </FormDialog>
  );
}

function Parties({ data, reload }: { data: Overview } & Changed): JSX.Element {
  const organisations = data.organisations.map((one) => [one.id, text(one.name)] as const);
  const named = new Map(organisations);
  return (
    <Section
      title={t("desk.parties")} help={t("desk.partiesHelp")}
      actions={<FormDialog open={t("desk.newParty")} title={t("desk.newParty")} submit={t("desk.save")} done={reload} fields={[{ name: "account", label: t("desk.account") }]} run={async (form) => { await ask(`/manage/parties/${encodeURIComponent(String(form.get("account")).trim())}`, "PUT", { organisation: form.get("organisation") }); }}><Choice name="organisation" label={t("desk.actsFor")} options={organisations} /></FormDialog>}
    >
      <DataTable
        label={t("desk.parties")} empty={t("desk.noParties")} head={[t("desk.account"), t("desk.actsFor"), `-${t("desk.change")}`]}
        rows={data.parties.map((one) => ({ key: one.account, cells: [<code key="account">{one.account}</code>, named.get(one.organisation) ?? one.organisation, <FormDialog key="end" open={t("desk.endParty")} about={one.account} title={t("desk.endParty")} help={t("desk.endPartyHelp")} submit={t("desk.endParty")} danger done={reload} run={async () => { await ask(`/manage/parties/${encodeURIComponent(one.account)}`, "DELETE"); }} />] }))}
      />
    </Section>
  );
}

/** How what is sent to hospitals fares. */
function Deliveries(): JSX.Element {
  const { data, problem } = useLoaded<{ subscriptions: Delivery[] }>(`${ROOT}/subscriptions`, REFRESH_MS);
  return (
    <Section title={t("desk.deliveries")} help={t("desk.deliveriesHelp")}>
      {data ? (
        <DataTable
          label={t("desk.deliveries")} empty={t("desk.noDeliveries")} head={[t("desk.subscription"), t("desk.standing"), t("desk.sent"), t("desk.withheld"), t("desk.behind"), t("desk.lastSent"), t("desk.trouble")]}
          rows={data.subscriptions.map((one) => ({
            key: one.id,
            cells: [
              <code key="id">{one.id}</code>, <Chip key="state" tone={one.state === "well" ? "good" : "bad"}>{word("delivery", one.state)}</Chip>, number(one.sent), number(one.withheld), number(one.changes_behind), since(one.last_sent),
              one.error ? `${one.error} (${t("desk.tries", { count: number(one.failures) })}${one.next_try ? `, ${t("desk.nextTry", { time: exact(one.next_try, false) })}` : ""})` : "–",
            ],
          }))}
        />
      ) : <Waiting problem={problem} />}
    </Section>
  );
}

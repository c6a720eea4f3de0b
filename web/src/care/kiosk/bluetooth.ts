import { BLOOD_PRESSURE, BODY_COMPOSITION, decode, GattError, WEIGHT, type Reading } from "../gatt";
import type { DeviceInfo } from "./types";

/** The part of the browser's Web Bluetooth that is used here; a simulated radio speaks it, too. */
export interface Radio {
  requestDevice(options: { filters: { services: number[] }[]; optionalServices: number[] }): Promise<Device>;
  /** Devices that this page was let use before; not in every browser. */
  getDevices?(): Promise<Device[]>;
}
export interface Device extends EventTarget {
  readonly id: string;
  readonly name?: string | undefined;
  readonly gatt?: { readonly connected: boolean; connect(): Promise<Server>; disconnect(): void } | undefined;
}
export interface Server {
  getPrimaryService(service: number): Promise<Service>;
}
export interface Service {
  getCharacteristic(characteristic: number): Promise<Characteristic>;
}
export interface Characteristic extends EventTarget {
  readonly value?: DataView | undefined;
  readValue(): Promise<DataView>;
  writeValueWithResponse(value: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Indications as well as notifications. */
  startNotifications(): Promise<unknown>;
}

/** The service that a measurement is a characteristic of. */
export const SERVICES: Readonly<Record<number, number>> = { [BLOOD_PRESSURE]: 0x1810, [WEIGHT]: 0x181d, [BODY_COMPOSITION]: 0x181b };
const BATTERY = 0x180f;
const BATTERY_LEVEL = 0x2a19;
const INFORMATION = 0x180a;
const MODEL = 0x2a24;
const SERIAL = 0x2a25;
const DATE_TIME = 0x2a08;

/** A device sends what it has stored one after the other; when it is quiet for so long, it has sent all. */
const QUIET_MS = 1_200;
/** A device's clock may be wrong by as much, and a measurement still be of this visit. */
const SKEW_MS = 120_000;
const FIRST_WAIT_MS = 500;
const MOST_WAIT_MS = 4_000;

export type LinkState = "looking" | "waiting" | "reading" | "lost";

/** A measurement that a device sent, with its bytes. */
export interface Taken {
  reading: Reading;
  raw: string;
  device: DeviceInfo;
  /** In per cent, where the device says it. */
  battery: number | null;
}

export const bluetooth = (): Radio | undefined => (navigator as { bluetooth?: Radio }).bluetooth;

const KEY = "hanmaru.kiosk.devices";

/** The ids of the devices that this kiosk was paired with, by service. They are of the place, not of a person. */
function paired(): Record<string, string> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}") as Record<string, string>;
  } catch {
    return {};
  }
}

/** The device of a service: the one of before, else one that somebody chooses in the browser's own dialogue. */
async function device(radio: Radio, service: number): Promise<Device> {
  const id = paired()[service];
  const before = id ? (await radio.getDevices?.())?.find((one) => one.id === id) : undefined;
  if (before) return before;
  const chosen = await radio.requestDevice({ filters: [{ services: [service] }], optionalServices: [BATTERY, INFORMATION] });
  localStorage.setItem(KEY, JSON.stringify({ ...paired(), [service]: chosen.id }));
  return chosen;
}

/**
 * Waits for a measurement of a device and resolves with the newest since `since` (ms since 1970). Connects again when the
 * device goes away, as many do to save their battery. Older measurements that the device has stored are of others: they
 * are taken off it and dropped. Rejects when no device was chosen, and when the signal ends it.
 */
export async function measured(radio: Radio, characteristic: number, since: number, signal: AbortSignal, state: (state: LinkState) => void): Promise<Taken> {
  state("looking");
  const chosen = await device(radio, SERVICES[characteristic]!);
  let wait = FIRST_WAIT_MS;
  while (!signal.aborted) {
    try {
      const taken = await session(chosen, characteristic, since, signal, state, () => { wait = FIRST_WAIT_MS; });
      if (taken) return taken;
    } catch (error) {
      if (error instanceof GattError) throw error;
    }
    if (signal.aborted) break;
    state("lost");
    await pause(wait, signal);
    wait = Math.min(MOST_WAIT_MS, wait * 2);
  }
  throw signal.reason;
}

/** One connection: undefined when it ends without a measurement of now. */
async function session(chosen: Device, characteristic: number, since: number, signal: AbortSignal, state: (state: LinkState) => void, up: () => void): Promise<Taken | undefined> {
  const gatt = chosen.gatt!;
  const done = new AbortController();
  const ends = AbortSignal.any([signal, done.signal]);
  const gone = new Promise<undefined>((resolve) => {
    chosen.addEventListener("gattserverdisconnected", () => resolve(undefined), { signal: ends });
    ends.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  try {
    const server = await gatt.connect();
    up();
    const service = await server.getPrimaryService(SERVICES[characteristic]!);
    const source = await service.getCharacteristic(characteristic);
    const collected = collect(source, characteristic, since, ends, () => state("reading"));
    await source.startNotifications();
    state("waiting");
    // With its clock right, the device says which of its measurements is of now. Not every one lets it be set.
    await quietly(async () => (await service.getCharacteristic(DATE_TIME)).writeValueWithResponse(dateTime(new Date())));
    const facts = about(chosen, server);
    const found = await Promise.race([collected, gone.then(() => "gone" as const)]);
    // A device that goes away right after it has sent has said all that it had to say.
    const settled = found === "gone" ? await Promise.race([collected.flush(), Promise.resolve(undefined)]) : found;
    return settled && { ...settled, ...(await facts) };
  } finally {
    done.abort();
    if (gatt.connected) gatt.disconnect();
  }
}

type Found = Pick<Taken, "reading" | "raw">;

/** Gathers what a characteristic sends until it has been quiet; `flush` gives what there is without waiting. */
function collect(source: Characteristic, characteristic: number, since: number, ends: AbortSignal, heard: () => void): Promise<Found> & { flush: () => Promise<Found | undefined> } {
  const found: Found[] = [];
  let packets: Uint8Array[] = [];
  let timer: ReturnType<typeof setTimeout>;
  let settle: (found: Found) => void;
  let fail: (error: unknown) => void;
  const newest = (): Found | undefined => found.filter(({ reading }) => reading.time == null || Date.parse(reading.time) >= since - SKEW_MS).reduce<Found | undefined>((best, one) => (!best || (one.reading.time ?? "") >= (best.reading.time ?? "") ? one : best), undefined);
  const promise = new Promise<Found>((resolve, reject) => { settle = resolve; fail = reject; });
  promise.catch(() => undefined);
  source.addEventListener("characteristicvaluechanged", () => {
    heard();
    clearTimeout(timer);
    const view = source.value!;
    packets.push(new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)));
    try {
      const reading = decode(characteristic, packets);
      // A body composition comes in several packets when one is too small for it; the last has the same mark.
      if (reading.more && packets.length < 2) return;
      found.push({ reading, raw: packets.map(hex).join(" ") });
    } catch (error) {
      fail(error);
    }
    packets = [];
    timer = setTimeout(() => { const best = newest(); if (best) settle(best); }, QUIET_MS);
  }, { signal: ends });
  ends.addEventListener("abort", () => clearTimeout(timer), { once: true });
  return Object.assign(promise, { flush: async () => newest() });
}

/** What a device says of itself; what it does not say is left out. */
async function about(chosen: Device, server: Server): Promise<Pick<Taken, "device" | "battery">> {
  const text = (service: number, characteristic: number): Promise<string | undefined> => quietly(async () => {
    const value = await (await (await server.getPrimaryService(service)).getCharacteristic(characteristic)).readValue();
    return new TextDecoder().decode(value).replace(/\0+$/, "").trim().slice(0, 64) || undefined;
  });
  // One after the other: a radio does one thing at a time.
  const model = await text(INFORMATION, MODEL);
  const serial = await text(INFORMATION, SERIAL);
  const battery = await quietly(async () => (await (await (await server.getPrimaryService(BATTERY)).getCharacteristic(BATTERY_LEVEL)).readValue()).getUint8(0));
  return { device: { name: chosen.name ?? model ?? "Bluetooth", ...(model ? { model } : {}), ...(serial ? { serial } : {}), address: chosen.id }, battery: battery ?? null };
}

async function quietly<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch {
    return undefined;
  }
}

/** A Date Time (0x2A08) of this machine's own clock. */
export function dateTime(at: Date): Uint8Array<ArrayBuffer> {
  const year = at.getFullYear();
  return Uint8Array.of(year & 0xff, year >> 8, at.getMonth() + 1, at.getDate(), at.getHours(), at.getMinutes(), at.getSeconds());
}

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

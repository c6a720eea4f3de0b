/**
 * What cuffs, scales and body-composition analysers send by Bluetooth, decoded from their bytes: Blood Pressure Service
 * 1.1.1, Weight Scale Service 1.0.1, Body Composition Service 1.0.1; IEEE 11073-20601 for SFLOAT. The server decodes the
 * same bytes again (`care/devices/gatt.py`); both are held to the same vectors. Integers are little-endian.
 */

export const BLOOD_PRESSURE = 0x2a35;
export const WEIGHT = 0x2a9d;
export const BODY_COMPOSITION = 0x2a9c;

/** A millimetre of mercury is 133.322387415 Pa (ISO 80000-4:2006, annex C). */
const KPA_IN_MMHG = 1 / 0.133322387415;
/** The international pound of 1959. */
const LB_IN_KG = 0.45359237;
const INCH_IN_CM = 2.54;
const UNSUCCESSFUL = 0xffff;
const UNKNOWN_USER = 0xff;

/** Bytes that break the format of what they should be. */
export class GattError extends Error {}

/** What an SFLOAT says instead of a number. */
export type Special = "NaN" | "NRes" | "reserved" | "+INF" | "-INF";
const SPECIAL: Record<number, Special> = { 0x07fe: "+INF", 0x07ff: "NaN", 0x0800: "NRes", 0x0801: "reserved", 0x0802: "-INF" };

export type Status = "body-moved" | "cuff-loose" | "irregular-pulse" | "pulse-above-range" | "pulse-below-range" | "wrong-position";
/** Mask, value and name of what a blood pressure's measurement status says. */
const STATUS: readonly (readonly [number, number, Status])[] = [
  [0x01, 0x01, "body-moved"], [0x02, 0x02, "cuff-loose"], [0x04, 0x04, "irregular-pulse"],
  [0x18, 0x08, "pulse-above-range"], [0x18, 0x10, "pulse-below-range"], [0x20, 0x20, "wrong-position"],
];

/** A measurement: values by column in the column's unit, without what the device has no value for. */
export interface Reading {
  columns: Record<string, number>;
  /** Of the values that were sent: `mmHg` or `kPa`, `kg` or `lb`. */
  unit: string;
  /** The device's own clock, without a zone (2026-05-01T09:30:15); null where it does not know the day. */
  time?: string | null;
  user?: number | null;
  status: Status[];
  /** A body composition of which another packet follows. */
  more: boolean;
}

/** The number of two bytes: a signed 4-bit exponent of ten over a signed 12-bit mantissa. */
export function sfloat(data: Uint8Array): number | Special {
  if (data.length !== 2) throw new GattError(`An SFLOAT has 2 bytes, not ${data.length}.`);
  const word = data[0]! | (data[1]! << 8);
  const special = SPECIAL[word];
  if (special) return special;
  const mantissa = ((word & 0xfff) ^ 0x800) - 0x800;
  const exponent = ((word >> 12) ^ 0x8) - 0x8;
  return exponent >= 0 ? mantissa * 10 ** exponent : mantissa / 10 ** -exponent;
}

/** Takes fields from the front of a characteristic's value. */
class Bytes {
  #at = 0;
  readonly #data: Uint8Array;

  constructor(data: Uint8Array) {
    this.#data = data;
  }

  take(count: number): Uint8Array {
    const taken = this.#data.subarray(this.#at, this.#at + count);
    if (taken.length < count) throw new GattError(`The measurement ends after ${this.#data.length} bytes, within a field.`);
    this.#at += count;
    return taken;
  }

  u8(): number {
    return this.take(1)[0]!;
  }

  u16(): number {
    const [low, high] = this.take(2);
    return low! | (high! << 8);
  }

  /** An SFLOAT; undefined for what is no finite number. */
  number(): number | undefined {
    const value = sfloat(this.take(2));
    return typeof value === "number" ? value : undefined;
  }

  /** A Date Time (0x2A08). */
  time(): string | null {
    const [year, month, day, hour, minute, second] = [this.u16(), ...this.take(5)] as [number, number, number, number, number, number];
    if (!year || !month || !day) return null;
    const at = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
    const written = at.toISOString().slice(0, 19);
    const meant = `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:${two(second)}`;
    if (written !== meant) throw new GattError(`${meant} is no time: set the device's clock.`);
    return meant;
  }

  user(): number | null {
    const user = this.u8();
    return user === UNKNOWN_USER ? null : user;
  }

  end(): void {
    if (this.#at < this.#data.length) throw new GattError(`The measurement has ${this.#data.length - this.#at} bytes more than its flags say.`);
  }
}

const two = (value: number): string => String(value).padStart(2, "0");

/** In steps of 0.005 kg or of 0.01 lb. */
const kg = (value: number, imperial: boolean): number => (imperial ? (value / 100) * LB_IN_KG : value / 200);
/** In steps of 0.001 m or of 0.1 inch. */
const cm = (value: number, imperial: boolean): number => (imperial ? (value / 10) * INCH_IN_CM : value / 10);

function known(columns: Record<string, number | undefined>): Record<string, number> {
  return Object.fromEntries(Object.entries(columns).filter((entry): entry is [string, number] => entry[1] !== undefined));
}

function bloodPressure(data: Uint8Array): Reading {
  const bytes = new Bytes(data);
  const flags = bytes.u8();
  const kpa = Boolean(flags & 0x01);
  const [systolic, diastolic] = [0, 1, 2].map(() => bytes.number()).map((value) => (value !== undefined && kpa ? value * KPA_IN_MMHG : value));
  const time = flags & 0x02 ? { time: bytes.time() } : {};
  const pulse = flags & 0x04 ? bytes.number() : undefined;
  const user = flags & 0x08 ? { user: bytes.user() } : {};
  const status = flags & 0x10 ? bytes.u16() : 0;
  bytes.end();
  return {
    columns: known({ sbp_mmhg: systolic, dbp_mmhg: diastolic, pulse_bpm: pulse }), unit: kpa ? "kPa" : "mmHg", ...time, ...user, more: false,
    status: STATUS.filter(([mask, value]) => (status & mask) === value).map(([, , name]) => name),
  };
}

function weight(data: Uint8Array): Reading {
  const bytes = new Bytes(data);
  const flags = bytes.u8();
  const imperial = Boolean(flags & 0x01);
  const measured = bytes.u16();
  const time = flags & 0x02 ? { time: bytes.time() } : {};
  const user = flags & 0x04 ? { user: bytes.user() } : {};
  const body = flags & 0x08 ? { bmi: bytes.u16() / 10, height_cm: cm(bytes.u16(), imperial) } : {};
  bytes.end();
  const columns = known({ weight_kg: measured === UNSUCCESSFUL ? undefined : kg(measured, imperial), ...body });
  return { columns, unit: imperial ? "lb" : "kg", ...time, ...user, status: [], more: false };
}

function composition(data: Uint8Array): Reading {
  const bytes = new Bytes(data);
  const flags = bytes.u16();
  const imperial = Boolean(flags & 0x0001);
  const fat = bytes.u16();
  const time = flags & 0x0002 ? { time: bytes.time() } : {};
  const user = flags & 0x0004 ? { user: bytes.user() } : {};
  // Basal metabolism, muscle as a share and as a mass, fat-free mass and soft lean mass are no columns of a visit.
  for (const bit of [0x0008, 0x0010, 0x0020, 0x0040, 0x0080]) if (flags & bit) bytes.take(2);
  const water = flags & 0x0100 ? kg(bytes.u16(), imperial) : undefined;
  if (flags & 0x0200) bytes.take(2);
  const mass = flags & 0x0400 ? kg(bytes.u16(), imperial) : undefined;
  const height = flags & 0x0800 ? cm(bytes.u16(), imperial) : undefined;
  bytes.end();
  const columns = known({ body_fat_pct: fat === UNSUCCESSFUL ? undefined : fat / 10, water_kg: water, weight_kg: mass, height_cm: height });
  return { columns, unit: imperial ? "lb" : "kg", ...time, ...user, status: [], more: Boolean(flags & 0x1000) };
}

function joined(packets: readonly Uint8Array[]): Reading {
  const [first, ...rest] = packets.map(composition);
  for (const part of rest) {
    if (!first!.more || !part.more) throw new GattError("A packet says that it is the only one.");
    for (const [name, value] of Object.entries(part.columns)) {
      if ((first!.columns[name] ?? value) !== value) throw new GattError("The packets are of two measurements.");
      first!.columns[name] = value;
    }
    if (part.time !== undefined) first!.time ??= part.time;
  }
  return first!;
}

/** What a device sent: one packet, or the several packets of one body composition. Throws GattError. */
export function decode(characteristic: number, packets: readonly Uint8Array[]): Reading {
  const [only] = packets;
  if (!only) throw new GattError("There is no packet.");
  if (characteristic === BODY_COMPOSITION) return joined(packets);
  if (packets.length > 1) throw new GattError("This measurement has one packet.");
  if (characteristic === BLOOD_PRESSURE) return bloodPressure(only);
  if (characteristic === WEIGHT) return weight(only);
  throw new GattError(`0x${characteristic.toString(16)} is no measurement.`);
}

import { BLOOD_PRESSURE, BODY_COMPOSITION, WEIGHT } from "../gatt";
import { dateTime, SERVICES, type Characteristic, type Device, type Radio, type Server, type Service } from "./bluetooth";

/**
 * A radio with one device of each kind, for demonstrations and tests. It speaks what the browser's own speaks, and its
 * devices send the bytes that real ones send: first an older measurement of somebody else that they have stored, then
 * the one of now. Each goes away once before it sends, as devices do.
 *
 * What they measure can be said in the address: `bp=186/112/88` (a second reading after a comma), `weight=71.4`, `fat=23.5`.
 */
export function simulated(query: URLSearchParams): Radio {
  const made = new Map<number, SimulatedDevice>();
  const of = (service: number): SimulatedDevice => {
    const found = made.get(service) ?? new SimulatedDevice(service, query);
    made.set(service, found);
    return found;
  };
  return {
    requestDevice: async ({ filters }) => of(filters[0]!.services[0]!),
    getDevices: async () => Object.values(SERVICES).map(of),
  };
}

const BEFORE_MS = 700;
const BETWEEN_MS = 150;

/** The bytes of a number: an SFLOAT with one decimal, or none. */
export function sfloatBytes(value: number): [number, number] {
  const [mantissa, exponent] = Number.isInteger(value) ? [value, 0] : [Math.round(value * 10), -1];
  const word = ((exponent & 0xf) << 12) | (mantissa & 0xfff);
  return [word & 0xff, word >> 8];
}

const u16 = (value: number): [number, number] => [value & 0xff, (value >> 8) & 0xff];

/** A blood pressure with time, pulse and status. */
export function cuff(systolic: number, diastolic: number, pulse: number, at: Date): Uint8Array {
  const mean = Math.round(diastolic + (systolic - diastolic) / 3);
  return Uint8Array.of(0x16, ...sfloatBytes(systolic), ...sfloatBytes(diastolic), ...sfloatBytes(mean), ...dateTime(at), ...sfloatBytes(pulse), 0, 0);
}

/** A weight in kg with time. */
export function scale(kg: number, at: Date): Uint8Array {
  return Uint8Array.of(0x02, ...u16(Math.round(kg * 200)), ...dateTime(at));
}

/** A body composition in two packets: fat and time, then fat again and water. */
export function composition(fat: number, water: number, at: Date): [Uint8Array, Uint8Array] {
  return [Uint8Array.of(0x02, 0x10, ...u16(Math.round(fat * 10)), ...dateTime(at)), Uint8Array.of(0x00, 0x11, ...u16(Math.round(fat * 10)), ...u16(Math.round(water * 200)))];
}

class SimulatedDevice extends EventTarget implements Device {
  readonly id: string;
  readonly name: string;
  readonly #service: number;
  readonly #query: URLSearchParams;
  #connected = false;
  #connections = 0;
  #sent = 0;

  constructor(service: number, query: URLSearchParams) {
    super();
    this.#service = service;
    this.#query = query;
    this.id = `simulated-${service.toString(16)}`;
    this.name = { 0x1810: "Simulated cuff", 0x181d: "Simulated scale", 0x181b: "Simulated analyser" }[service] ?? "Simulated";
  }

  readonly gatt = ((device: SimulatedDevice) => ({
    get connected() { return device.#connected; },
    connect: async (): Promise<Server> => {
      device.#connected = true;
      device.#connections += 1;
      return { getPrimaryService: async (service) => device.#open(service) };
    },
    disconnect: () => device.#leave(),
  }))(this);

  #leave(): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.dispatchEvent(new Event("gattserverdisconnected"));
  }

  #open(service: number): Service {
    return { getCharacteristic: async (characteristic) => new SimulatedCharacteristic(characteristic, (source) => this.#send(service, source)) };
  }

  /** Sends what is stored and what is new, or goes away before it does. */
  #send(service: number, source: SimulatedCharacteristic): void {
    if (service !== this.#service) return;
    if (this.#connections === 1) return void setTimeout(() => this.#leave(), BETWEEN_MS);
    const old = new Date(Date.now() - 3_600_000);
    const packets = [...(this.#sent === 0 ? this.#packets(old, true) : []), ...this.#packets(new Date(), false)];
    this.#sent += 1;
    packets.forEach((packet, index) => setTimeout(() => { if (this.#connected) source.indicate(packet); }, BEFORE_MS + index * BETWEEN_MS));
  }

  #packets(at: Date, old: boolean): Uint8Array[] {
    const number = (name: string, usual: number): number => (old ? usual + 9 : Number(this.#query.get(name) ?? usual));
    if (this.#service === SERVICES[WEIGHT]) return [scale(number("weight", 64.2), at)];
    if (this.#service === SERVICES[BODY_COMPOSITION]) return [...composition(number("fat", 24.1), number("water", 33.5), at)];
    const readings = (this.#query.get("bp") ?? "128/78/71,124/76/70").split(",");
    const [systolic = 128, diastolic = 78, pulse = 71] = old ? [199, 121, 99] : readings[this.#sent % readings.length]!.split("/").map(Number);
    return [cuff(systolic, diastolic, pulse, at)];
  }
}

const FACTS: Record<number, Uint8Array> = {
  0x2a24: new TextEncoder().encode("SIM-1"),
  0x2a25: new TextEncoder().encode("0001"),
  0x2a19: Uint8Array.of(15),
};

class SimulatedCharacteristic extends EventTarget implements Characteristic {
  value?: DataView;
  readonly #characteristic: number;
  readonly #started: (source: SimulatedCharacteristic) => void;

  constructor(characteristic: number, started: (source: SimulatedCharacteristic) => void) {
    super();
    this.#characteristic = characteristic;
    this.#started = started;
  }

  async readValue(): Promise<DataView> {
    const fact = FACTS[this.#characteristic];
    if (!fact) throw new DOMException("There is no such value.", "NotSupportedError");
    return new DataView(fact.buffer, fact.byteOffset, fact.byteLength);
  }

  async writeValueWithResponse(): Promise<void> {
    if (this.#characteristic !== 0x2a08) throw new DOMException("This cannot be written.", "NotSupportedError");
  }

  async startNotifications(): Promise<this> {
    if (this.#characteristic !== BLOOD_PRESSURE && this.#characteristic !== WEIGHT && this.#characteristic !== BODY_COMPOSITION) throw new DOMException("This does not notify.", "NotSupportedError");
    this.#started(this);
    return this;
  }

  indicate(packet: Uint8Array): void {
    this.value = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
    this.dispatchEvent(new Event("characteristicvaluechanged"));
  }
}

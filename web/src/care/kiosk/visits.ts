import { Problem } from "../../api";
import { Observable } from "../../state";
import { ask } from "./data";
import type { Objection, Outcome, VisitBody } from "./types";

const DATABASE = "hanmaru-kiosk";
/** Some days of a place without a line; beyond, a visit is not taken rather than an older one lost. */
const MOST = 500;
const MOST_WAIT_MS = 30_000;
const SURE = { durability: "strict" } as const;

/** What became of a visit: the result, what the server did not take, or that it waits. */
export type Settled = { kind: "outcome"; outcome: Outcome } | { kind: "objections"; problems: Objection[] } | { kind: "waits" } | { kind: "refused"; error: Problem };

/** The server takes no visit that is older. */
const OLDEST_MS = 14 * 86_400_000;

/** A visit as it lies on the disk: nobody can read it but this page in this browser. */
interface Sealed {
  iv: Uint8Array<ArrayBuffer>;
  sealed: ArrayBuffer;
  writtenAt: number;
  /** The server did not take it as it is, such as for a card that is not known. It is tried again when the kiosk is opened anew, and blocks no other. */
  refused?: number;
}

const settled = <T>(request: IDBRequest<T>): Promise<T> => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error ?? new Error("The kiosk's storage failed."));
});

const finished = (transaction: IDBTransaction): Promise<void> => new Promise((resolve, reject) => {
  transaction.oncomplete = () => resolve();
  transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error("The kiosk's storage failed."));
});

/** There is no more room for visits that wait. */
export class FullError extends Error {}

/**
 * The visits that the server does not have yet, in the order in which they were. Each is encrypted with a key that the
 * browser made and never gives out, written before it is sent, and deleted once the server has it. The server knows a
 * visit by its id, so that one that is sent twice counts once.
 */
export class Visits {
  /** How many wait, and how many the server has refused. */
  readonly waiting = new Observable<{ count: number; refused: number }>({ count: 0, refused: 0 });
  readonly #opened: Promise<{ database: IDBDatabase; key: CryptoKey }>;
  readonly #mine = new Map<string, (settled: Settled) => void>();
  #sending: Promise<void> | undefined;
  #attempt = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor() {
    this.#opened = open();
    this.#opened.then(({ database }) => sweep(database)).then(() => this.#count()).then(() => this.send()).catch(() => undefined);
    addEventListener("online", this.#online);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    removeEventListener("online", this.#online);
    void this.#opened.then(({ database }) => database.close(), () => undefined);
  }

  readonly #online = (): void => void this.send();

  /** Writes a visit down and sends it after those that wait; throws FullError when there is no room. */
  async submit(visit: VisitBody): Promise<Settled> {
    const { database, key } = await this.#opened;
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, new TextEncoder().encode(JSON.stringify(visit)));
    const transaction = database.transaction("visits", "readwrite", SURE);
    const store = transaction.objectStore("visits");
    if ((await settled(store.count())) >= MOST) {
      transaction.abort();
      throw new FullError();
    }
    store.add({ iv, sealed, writtenAt: Date.now() } satisfies Sealed);
    await finished(transaction);
    await this.#count();
    const answer = new Promise<Settled>((resolve) => this.#mine.set(visit.id, resolve));
    // A round that was under way may have been at its end already.
    await this.send();
    await this.send();
    this.#mine.get(visit.id)?.({ kind: "waits" });
    this.#mine.delete(visit.id);
    return answer;
  }

  /** Sends what waits, one after the other, until all is sent or there is no line. */
  send(): Promise<void> {
    this.#sending ??= navigator.locks.request(DATABASE, () => this.#round()).catch(() => this.#later()).finally(() => {
      this.#sending = undefined;
      return this.#count();
    });
    return this.#sending;
  }

  #later(): void {
    this.#attempt += 1;
    clearTimeout(this.#retry);
    if (!this.#closed) this.#retry = setTimeout(() => void this.send(), Math.min(MOST_WAIT_MS, 1000 * 2 ** Math.min(this.#attempt, 5)));
  }

  async #round(): Promise<void> {
    const { database, key } = await this.#opened;
    const keys = await settled(database.transaction("visits").objectStore("visits").getAllKeys());
    for (const at of keys) {
      if (this.#closed) return;
      const row = (await settled(database.transaction("visits").objectStore("visits").get(at))) as Sealed | undefined;
      if (!row || row.refused) continue;
      const visit = JSON.parse(new TextDecoder().decode(await crypto.subtle.decrypt({ name: "AES-GCM", iv: row.iv }, key, row.sealed))) as VisitBody;
      const result = await send(visit);
      const mine = this.#mine.get(visit.id);
      const transaction = database.transaction("visits", "readwrite", SURE);
      // Who stands before the kiosk can put right what was not taken; for who has gone, staff can.
      if (result.kind === "outcome" || (mine && result.kind === "objections")) transaction.objectStore("visits").delete(at);
      else transaction.objectStore("visits").put({ ...row, refused: result.kind === "refused" ? result.error.status : 422 }, at);
      await finished(transaction);
      this.#attempt = 0;
      mine?.(result);
      this.#mine.delete(visit.id);
      await this.#count();
    }
  }

  async #count(): Promise<void> {
    const { database } = await this.#opened;
    const rows = (await settled(database.transaction("visits").objectStore("visits").getAll())) as Sealed[];
    const refused = rows.filter((row) => row.refused).length;
    const { value } = this.waiting;
    if (value.count !== rows.length - refused || value.refused !== refused) this.waiting.value = { count: rows.length - refused, refused };
  }
}

/** Drops what the server would never take any more, and lets what it has refused be tried once more. */
async function sweep(database: IDBDatabase): Promise<void> {
  const transaction = database.transaction("visits", "readwrite", SURE);
  const store = transaction.objectStore("visits");
  for (const at of await settled(store.getAllKeys())) {
    const { refused, ...row } = (await settled(store.get(at))) as Sealed;
    if (Date.now() - row.writtenAt > OLDEST_MS) store.delete(at);
    else if (refused) store.put(row, at);
  }
  await finished(transaction);
}

/** Sends a visit that must not be written down here. */
export async function sendOnly(visit: VisitBody): Promise<Settled> {
  try {
    return await send(visit);
  } catch {
    return { kind: "waits" };
  }
}

/** What the server says of a visit; throws what has to be tried again. */
async function send(visit: VisitBody): Promise<Settled> {
  try {
    return { kind: "outcome", outcome: await ask<Outcome>("/visits", visit) };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const problems = error.document.problems as Objection[] | undefined;
    if (error.status === 422 && problems?.length) return { kind: "objections", problems };
    // A kiosk that is signed out, or a server that is busy, is no fault of the visit.
    if (error.status === 0 || error.status >= 500 || [401, 403, 408, 425, 429].includes(error.status)) throw error;
    return { kind: "refused", error };
  }
}

async function open(): Promise<{ database: IDBDatabase; key: CryptoKey }> {
  const asked = indexedDB.open(DATABASE, 1);
  asked.onupgradeneeded = () => {
    asked.result.createObjectStore("keys");
    asked.result.createObjectStore("visits", { autoIncrement: true });
  };
  const database = await settled(asked);
  const before = (await settled(database.transaction("keys").objectStore("keys").get("visits"))) as CryptoKey | undefined;
  if (before) return { database, key: before };
  const made = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  // Another tab may have made one meanwhile: the first one stays.
  const transaction = database.transaction("keys", "readwrite", SURE);
  const store = transaction.objectStore("keys");
  const found = (await settled(store.get("visits"))) as CryptoKey | undefined;
  if (!found) store.put(made, "visits");
  await finished(transaction);
  return { database, key: found ?? made };
}

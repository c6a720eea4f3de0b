/**
 * What was read last, kept on this device so that it can be read without a line: sealed with a key that the browser
 * lets nobody take out, and gone when its owner signs out, when the session ends, or when somebody else signs in.
 */
const NAME = "hanmaru-health";
const STORE = "kept";
const KEY = "key";
const OWNER = "owner";

interface Sealed { iv: Uint8Array<ArrayBuffer>; body: ArrayBuffer }
export interface Kept { at: string; data: unknown }

/** Whether this browser, over this connection, can keep anything sealed. */
const able = (): boolean => typeof indexedDB !== "undefined" && Boolean(globalThis.crypto?.subtle);

function opened(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => {
      request.result.onversionchange = () => request.result.close();
      resolve(request.result);
    };
    request.onerror = () => reject(request.error ?? new Error("The browser keeps nothing."));
  });
}

async function store<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await opened();
  try {
    return await new Promise<T>((resolve, reject) => {
      const request = work(database.transaction(STORE, mode).objectStore(STORE));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error("The browser keeps nothing."));
    });
  } finally {
    database.close();
  }
}

async function key(): Promise<CryptoKey> {
  const found = await store<CryptoKey | undefined>("readonly", (kept) => kept.get(KEY));
  if (found) return found;
  const made = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  try {
    await store("readwrite", (kept) => kept.add(made, KEY));
    return made;
  } catch {
    // Another page of the app was first.
    return store<CryptoKey>("readonly", (kept) => kept.get(KEY));
  }
}

/** Keeps an answer for its owner; what the browser cannot keep is not kept. */
export async function keep(owner: string, path: string, data: unknown): Promise<void> {
  if (!able()) return;
  try {
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const plain = new TextEncoder().encode(JSON.stringify({ at: new Date().toISOString(), data } satisfies Kept));
    const body = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: new TextEncoder().encode(owner + path) }, await key(), plain);
    await store("readwrite", (kept) => kept.put({ iv, body } satisfies Sealed, path));
    await store("readwrite", (kept) => kept.put(owner, OWNER));
  } catch {
    // Reading without a line is a comfort; the page works without it.
  }
}

/** What was kept for an owner; nothing of anybody else's, whose things are destroyed. */
export async function kept(owner: string, path: string): Promise<Kept | undefined> {
  if (!able()) return undefined;
  try {
    const whose = await store<string | undefined>("readonly", (all) => all.get(OWNER));
    if (whose !== undefined && whose !== owner) {
      await forget();
      return undefined;
    }
    const sealed = await store<Sealed | undefined>("readonly", (all) => all.get(path));
    if (!sealed) return undefined;
    const plain = await crypto.subtle.decrypt({ name: "AES-GCM", iv: sealed.iv, additionalData: new TextEncoder().encode(owner + path) }, await key(), sealed.body);
    return JSON.parse(new TextDecoder().decode(plain)) as Kept;
  } catch {
    return undefined;
  }
}

/** Destroys everything that was kept, its key first of all. */
export function forget(): Promise<void> {
  if (typeof indexedDB === "undefined") return Promise.resolve();
  return new Promise((resolve) => {
    const request = indexedDB.deleteDatabase(NAME);
    request.onsuccess = request.onerror = request.onblocked = () => resolve();
  });
}

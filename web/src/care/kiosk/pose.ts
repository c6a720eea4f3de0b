import type { Point } from "../posture";

const FOLDER = "/services/care/pose/";
const FILES = [
  "pose.js", "pose_web.binarypb", "pose_landmark_full.tflite", "pose_solution_packed_assets_loader.js", "pose_solution_packed_assets.data",
  "pose_solution_simd_wasm_bin.js", "pose_solution_simd_wasm_bin.wasm",
];
/** Where what finds joints is. */
export const POSE: readonly string[] = ["worker.js", ...FILES].map((name) => FOLDER + name);
export const MODEL = "mediapipe-pose-0.5.1675469404-full";

type Said = { ready?: true; error?: string; landmarks?: Point[] | null };

/**
 * Finds joints in photographs, in a worker that reaches nothing outside itself: it is given the detector's files, then
 * each photograph, and can answer with points only.
 */
export class Detector {
  readonly #worker = new Worker(`${FOLDER}worker.js`);
  readonly #ready: Promise<unknown>;

  constructor() {
    this.#ready = load().then((files) => this.#ask({ files }, Object.values(files)));
    this.#ready.catch(() => undefined);
  }

  close(): void {
    this.#worker.terminate();
  }

  /** The joints of the person in a photograph, in pixels; null where it shows nobody. The photograph is used up. */
  async joints(photo: ImageBitmap): Promise<Point[] | null> {
    const { width, height } = photo;
    await this.#ready;
    const { landmarks } = await this.#ask({ photo }, [photo]);
    return landmarks?.map(({ x, y, visibility }) => ({ x: x * width, y: y * height, visibility })) ?? null;
  }

  #ask(what: object, given: Transferable[]): Promise<Said> {
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }: MessageEvent<Said>) => (data.error === undefined ? resolve(data) : reject(new Error(data.error)));
      this.#worker.onerror = (event) => reject(new Error(event.message || "The detector could not be started."));
      this.#worker.postMessage(what, given);
    });
  }
}

async function load(): Promise<Record<string, ArrayBuffer>> {
  const files = await Promise.all(FILES.map(async (name) => {
    const answer = await fetch(FOLDER + name);
    if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
    return [name, await answer.arrayBuffer()] as const;
  }));
  return Object.fromEntries(files);
}

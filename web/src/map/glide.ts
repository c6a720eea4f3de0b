/** How long something glides at most: as long as buses wait between two reports. */
const LONGEST_MS = 3000;
const SHORTEST_MS = 250;
/** The share of time that scripts may spend on moving things, and how many are moved in one step. */
const SHARE = 0.2;
const MOST_A_STEP = 1500;

export type Position = [number, number];

interface Move {
  from: Position;
  to: Position;
  begun: number;
  takes: number;
}

/**
 * Moves things from where they are to where they were last reported, each as long as its last two reports lay apart. A
 * step is taken when the last one is drawn and the time that it cost is a fifth of the time since.
 */
export class Glide {
  readonly #moves = new Map<string, Move>();
  readonly #told = new Map<string, number>();
  readonly #show: (at: [string, Position][]) => Promise<void>;
  #frame = 0;
  #next = 0;
  /** Milliseconds that scripts have spent on steps, and how many there were: for measuring. */
  spent = 0;
  steps = 0;

  constructor(show: (at: [string, Position][]) => Promise<void>) {
    this.#show = show;
  }

  to(id: string, from: Position, to: Position): void {
    const now = performance.now();
    const takes = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, now - (this.#told.get(id) ?? now)));
    this.#told.set(id, now);
    this.#moves.set(id, { from: this.at(id) ?? from, to, begun: now, takes });
    if (!this.#frame) this.#frame = requestAnimationFrame(() => void this.#step());
  }

  /** Where something that glides is now. */
  at(id: string): Position | undefined {
    const move = this.#moves.get(id);
    return move && along(move, performance.now());
  }

  forget(id: string): void {
    this.#moves.delete(id);
    this.#told.delete(id);
  }

  stop(): void {
    cancelAnimationFrame(this.#frame);
    this.#moves.clear();
  }

  async #step(): Promise<void> {
    const began = performance.now();
    if (began >= this.#next) {
      const shown: [string, Position][] = [];
      for (const [id, move] of [...this.#moves].slice(0, MOST_A_STEP)) {
        shown.push([id, along(move, began)]);
        this.#moves.delete(id);
        if (began < move.begun + move.takes) this.#moves.set(id, move); // behind the others: all have their turn
      }
      const drawn = this.#show(shown);
      const cost = performance.now() - began;
      this.spent += cost;
      this.steps += 1;
      await drawn;
      this.#next = began + Math.max(33, cost / SHARE);
    }
    this.#frame = this.#moves.size ? requestAnimationFrame(() => void this.#step()) : 0;
  }
}

function along({ from, to, begun, takes }: Move, now: number): Position {
  const part = Math.min(1, (now - begun) / takes);
  return [from[0] + (to[0] - from[0]) * part, from[1] + (to[1] - from[1]) * part];
}

import { Problem } from "../../api";
import { sent } from "./edit";
import { ROOT, type Dry, type Rule } from "./types";

export interface Progress {
  done: number;
  of: number;
  seen?: number;
}

/** Tries a rule over history; says how far it is; throws what the server refuses. Aborting the signal ends it there, too. */
export async function dryRun(rule: Rule, start: string, end: string, signal: AbortSignal, told: (progress: Progress) => void): Promise<Dry> {
  let answer: Response;
  try {
    answer = await fetch(`${ROOT}/rules/dry-run`, { method: "POST", credentials: "same-origin", signal, headers: { "content-type": "application/json", accept: "text/event-stream" }, body: JSON.stringify({ rule: sent(rule), start, end }) });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Problem(0, String(error));
  }
  if (!answer.ok || !answer.body) {
    const document = (await answer.json().catch(() => ({}))) as Record<string, unknown>;
    throw new Problem(answer.status, typeof document.title === "string" ? document.title : answer.statusText, document);
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Problem(0, "The answer broke off");
    const events = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      const lines = event.split("\n");
      const name = lines.find((one) => one.startsWith("event:"))?.slice(6).trim();
      const data = lines.filter((one) => one.startsWith("data:")).map((one) => one.slice(5)).join("\n");
      if (name === "progress") told(JSON.parse(data) as Progress);
      if (name === "error") throw new Problem(400, "Bad Request", JSON.parse(data) as Record<string, unknown>);
      if (name === "result") return JSON.parse(data) as Dry;
    }
  }
}

import { Observable } from "../../state";

const KEPT = "hanmaru.centre.silent";

/** Whether this browser keeps quiet about new critical events; they are still announced in words. */
export const silent = new Observable(localStorage.getItem(KEPT) === "yes");

export function setSilent(quiet: boolean): void {
  silent.value = quiet;
  localStorage.setItem(KEPT, quiet ? "yes" : "no");
}

let context: AudioContext | undefined;

/** Two notes, unless silenced. A browser that has not been touched yet may refuse to sound. */
export function chime(): void {
  if (silent.value || !("AudioContext" in window)) return;
  context ??= new AudioContext();
  void context.resume().catch(() => undefined);
  for (const [note, hertz] of [880, 660, 880].entries()) {
    const [tone, volume] = [context.createOscillator(), context.createGain()];
    const at = context.currentTime + note * 0.22;
    tone.frequency.value = hertz;
    volume.gain.setValueAtTime(0.0001, at);
    volume.gain.exponentialRampToValueAtTime(0.25, at + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, at + 0.2);
    tone.connect(volume).connect(context.destination);
    tone.start(at);
    tone.stop(at + 0.21);
  }
}

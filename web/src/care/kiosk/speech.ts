import { language } from "../../i18n";
import { remembered } from "../../state";

/** Whether what is on the screen is read aloud. It is of the kiosk, not of a person. */
export const aloud = remembered<"on" | "off">("hanmaru.kiosk.aloud", (value): value is "on" | "off" => value === "on" || value === "off", "on");

export const canSpeak = "speechSynthesis" in window;

/** Reads a text aloud instead of whatever is being read. */
export function say(text: string): void {
  if (!canSpeak) return;
  speechSynthesis.cancel();
  if (aloud.value === "off" || !text) return;
  const words = new SpeechSynthesisUtterance(text);
  words.lang = language.value === "ko" ? "ko-KR" : "en-GB";
  words.rate = 0.9;
  speechSynthesis.speak(words);
}

export const hush = (): void => void (canSpeak && speechSynthesis.cancel());

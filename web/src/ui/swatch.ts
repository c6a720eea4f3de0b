import type { CSSProperties } from "react";
import { onColour } from "../map/icons";

/** Gives a stylesheet a declared colour, and the ink that is legible on it. */
export function swatch(colour: string | undefined): CSSProperties {
  return colour ? ({ "--swatch": colour, "--on-swatch": onColour(colour) } as CSSProperties) : {};
}

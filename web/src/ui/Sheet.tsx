import { ChevronDown, ChevronUp } from "lucide";
import { useRef, type JSX, type PointerEvent, type ReactNode } from "react";
import { Button } from "react-aria-components";
import { t } from "../i18n";
import type { Model } from "../model";
import { useValue } from "../state";
import { Icon } from "./Icon";

const SIZES = ["peek", "half", "full"] as const;

/** The panel of narrow screens: docked at the side on a tablet, a sheet at the bottom of a phone with three sizes. */
export function Sheet({ model, children }: { model: Model; children: ReactNode }): JSX.Element {
  const size = useValue(model.sheet);
  const from = useRef<number | null>(null);
  const at = SIZES.indexOf(size);
  const resize = (by: number): void => {
    model.sheet.value = SIZES[Math.min(2, Math.max(0, at + by))]!;
  };
  const up = (event: PointerEvent): void => {
    if (from.current === null) return;
    const moved = event.clientY - from.current;
    from.current = null;
    if (Math.abs(moved) > 30) resize(moved < 0 ? 1 : -1);
  };
  return (
    <aside className="sheet" data-size={size} aria-label={t("panel.label")}>
      <div
        className="sheet-handle"
        onPointerDown={(event) => (from.current = event.clientY)}
        onPointerUp={up}
        onPointerCancel={() => (from.current = null)}
      >
        <Button className="icon-button quiet" aria-label={t("panel.smaller")} isDisabled={at === 0} onPress={() => resize(-1)}><Icon node={ChevronDown} /></Button>
        <span className="grip" aria-hidden="true" />
        <Button className="icon-button quiet" aria-label={t("panel.larger")} isDisabled={at === 2} onPress={() => resize(1)}><Icon node={ChevronUp} /></Button>
      </div>
      {children}
    </aside>
  );
}

import { Check, ChevronUp, CircleAlert, Eye, Info, WifiOff } from "lucide";
import type { JSX, ReactNode } from "react";
import { age } from "../../format";
import { t } from "../../i18n";
import { Icon } from "../../ui/Icon";
import type { Level } from "./types";
import { date } from "./words";

const MARKS = { good: Check, info: Info, watch: Eye, act: ChevronUp, urgent: CircleAlert } as const;

/** A level's sign: each has a shape of its own, so that nothing rests on colour. */
export function Mark({ level, size = 16 }: { level: Level; size?: number }): JSX.Element {
  return <span className="mark-of" data-level={level}><Icon node={MARKS[level]} size={size} /></span>;
}

/** A level in its word. */
export function LevelChip({ level, children }: { level: Level; children?: ReactNode }): JSX.Element {
  return <span className="level" data-level={level}><Mark level={level} />{children ?? t(`health.level.${level}`)}</span>;
}

/** Says that what is shown was kept on this device, and how old it is. */
export function OfflineNote({ keptAt }: { keptAt: string | undefined }): JSX.Element {
  return (
    <div role="status" className="offline-note">
      {keptAt && <><Icon node={WifiOff} /><span>{t("health.offline", { age: age(keptAt), date: date(keptAt) })}</span></>}
    </div>
  );
}

/** A part of the page with its heading. */
export function Part({ title, help, actions, children, id }: { title: ReactNode; help?: ReactNode; actions?: ReactNode; children: ReactNode; id?: string }): JSX.Element {
  return (
    <section className="health-part" {...(id ? { "aria-labelledby": id } : {})}>
      <header><h2 {...(id ? { id } : {})}>{title}</h2>{actions}</header>
      {help && <p className="help">{help}</p>}
      {children}
    </section>
  );
}

import { Monitor, Moon, Settings2, Sun } from "lucide";
import type { JSX } from "react";
import { Button, Dialog, DialogTrigger, Popover, ToggleButton, ToggleButtonGroup } from "react-aria-components";
import { session as sessions } from "../api";
import { language, languageName, languages, t, text } from "../i18n";
import { themeChoice, type ThemeChoice } from "../settings";
import { useValue } from "../state";
import { useLoaded } from "../office/data";
import type { Manifest, Mine, Session } from "../types";
import { Icon } from "./Icon";

export function LanguageButtons(): JSX.Element {
  const current = useValue(language);
  return (
    <ToggleButtonGroup
      className="segments" aria-label={t("menu.language")} selectionMode="single" disallowEmptySelection selectedKeys={[current]}
      onSelectionChange={(keys) => {
        const [tag] = keys;
        if (tag) language.value = String(tag);
      }}
    >
      {languages.map((tag) => (
        <ToggleButton key={tag} id={tag} className="segment"><span lang={tag}>{languageName(tag)}</span></ToggleButton>
      ))}
    </ToggleButtonGroup>
  );
}

const THEMES = [["system", Monitor], ["light", Sun], ["dark", Moon]] as const;

function ThemeButtons(): JSX.Element {
  const current = useValue(themeChoice);
  return (
    <ToggleButtonGroup
      className="segments" aria-label={t("menu.theme")} selectionMode="single" disallowEmptySelection selectedKeys={[current]}
      onSelectionChange={(keys) => {
        const [choice] = keys;
        if (choice) themeChoice.value = choice as ThemeChoice;
      }}
    >
      {THEMES.map(([choice, icon]) => (
        <ToggleButton key={choice} id={choice} className="segment"><Icon node={icon} size={15} />{t(`theme.${choice}`)}</ToggleButton>
      ))}
    </ToggleButtonGroup>
  );
}

/** The services' pages that policy opens to the viewer. */
function Pages(): JSX.Element | null {
  const { data: manifest } = useLoaded<Manifest>("/api/shell/v1/manifest");
  const { data: mine } = useLoaded<Mine>("/api/policy/v1/mine");
  const open = (manifest?.pages ?? []).filter(({ permission }) => mine?.actions.includes(permission));
  const services = manifest?.services.filter(({ name }) => open.some((page) => page.service === name)) ?? [];
  return services.length === 0 ? null : (
    <nav className="menu-pages" aria-label={t("menu.pages")}>
      {services.map((service) => (
        <div key={service.name}>
          <h2>{text(service.title)}</h2>
          {open.filter((page) => page.service === service.name).map((page) => <a key={page.id} className="link" href={page.path}>{text(page.title)}</a>)}
        </div>
      ))}
    </nav>
  );
}

/** The services' pages, language, appearance and account, behind one button. */
export function Menu({ session, signedOut }: { session: Session; signedOut: () => void }): JSX.Element {
  return (
    <DialogTrigger>
      <Button className="icon-button" aria-label={t("menu.label")}><Icon node={Settings2} /></Button>
      <Popover placement="bottom end" className="popover">
        <Dialog className="menu" aria-label={t("menu.label")}>
          <Pages />
          <h2>{t("menu.language")}</h2>
          <LanguageButtons />
          <h2>{t("menu.theme")}</h2>
          <ThemeButtons />
          {session.login !== false && (
            <div className="account">
              <span>{t("sign.as", { name: session.name })}</span>
              <a className="link" href="/account">{t("menu.office")}</a>
              <Button className="button" onPress={() => void sessions.close().finally(signedOut)}>{t("sign.out")}</Button>
            </div>
          )}
        </Dialog>
      </Popover>
    </DialogTrigger>
  );
}

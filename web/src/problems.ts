import { Problem } from "./api";
import { hasMessage, t } from "./i18n";

/** What the server's details say, by how they begin, where the title alone is too little. */
const REASONS: [RegExp, string][] = [
  [/^A password has at least (?<count>\d+)/, "passwordShort"],
  [/^A password has at most (?<count>\d+)/, "passwordLong"],
  [/^A password is printable/, "printable"],
  [/^This password is among the first/, "passwordGuessed"],
  [/^An account's name is/, "name"],
  [/^A machine's name is/, "name"],
  [/^A passkey's title is/, "name"],
  [/^There is already (?:an account|a machine) '(?<name>.*)'/, "taken"],
  [/^Roles that open personal data/, "entrusted"],
  [/is the last administrator/, "lastAdministrator"],
  [/^A machine has at least one role|length >= 1 - at `\$\.roles`/, "oneRole"],
  [/^A secret is good for 1 to (?<count>\d+)/, "days"],
  [/^This is not the code that the app shows/, "appCode"],
  [/^Nothing was offered to confirm/, "beginAgain"],
  [/^(?:This answers no question|This was used before|Registering was not)/, "beginAgain"],
  [/^This passkey is registered already/, "passkeyThere"],
  [/^This passkey (?:is not known here|belongs to another)/, "passkeyUnknown"],
  [/^Somebody else has to approve/, "ownRequest"],
  [/^This is not a vault subject/i, "subject"],
  [/^This is not a vault kind/i, "kind"],
  [/^A room has its own data already/, "ownRoom"],
  [/^Ask for 1 to (?<count>\d+) records/, "kinds"],
  [/^until is an instant.*at most (?<count>[\d.]+) days/, "until"],
  [/^(?:purpose|legal_basis) is 1 to 200/, "text"],
  [/^State the reason|^Say why/, "reason"],
  [/is the account of the OpenID|signs in at the OpenID Connect/, "provider"],
];

/** Why a request failed: in the viewer's language where there are words for it, else in the server's own. */
export function reason(error: unknown): string {
  if (error instanceof DOMException) return t(error.name === "InvalidStateError" ? "problem.passkeyThere" : "sign.cancelled");
  if (!(error instanceof Problem)) return error instanceof Error ? error.message : String(error);
  if (error.status === 0) return t("problem.noAnswer");
  const { needs, retry_after_s: seconds = "" } = error.document as { needs?: string; retry_after_s?: number };
  if (needs && hasMessage(`problem.needs.${needs}`)) return t(`problem.needs.${needs}`);
  for (const [pattern, key] of REASONS) {
    const found = pattern.exec(error.message);
    if (found) return t(`problem.${key}`, found.groups ?? {});
  }
  const title = `problem.title.${error.title}`;
  return hasMessage(title) ? t(title, { seconds: String(seconds) }) : error.message;
}

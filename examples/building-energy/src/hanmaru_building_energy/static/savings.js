/** A building's days: measured against the baseline with its band, and below the energy saved so far with its own. */

const TEXTS = {
  en: {
    measured: "Measured", baseline: "Baseline", band: "90 % band", saved: "Saved so far", day: "Day", kwh: "kWh", measure: "Measure",
    perDay: "Energy by day", table: "Days as a table", range: "Days shown", all: "All", last: "Last {n} days",
    ok: "Saved {saved} ± {half} kWh ({percent} ± {points} %), at 90 % confidence.",
    unclear: "Saved {saved} ± {half} kWh ({percent} ± {points} %): at 90 % confidence it may be nothing at all.",
    "does-not-fit": "No estimate: the baseline does not describe this building. CV(RMSE) is {cv} %, bias {bias} %; at most 30 % and 10 % are usable.",
    "too-little-data": "No estimate: the baseline has {weeks} weeks of readings, and needs 8.",
    "nothing-after": "No estimate: nothing has been metered since the measure.",
    model: { "time of week and temperature": "Model: time of week and temperature", "time of week": "Model: time of week" },
    fit: "CV(RMSE) {cv} % · {weeks} weeks",
    outside: "{outside} % of the time since was colder or warmer than ever before the measure: there the baseline is a guess.",
    chart: "{what}, {from} to {to}. Arrow keys move from day to day.",
    none: "There are no days to show yet.",
  },
  ko: {
    measured: "실측", baseline: "기준", band: "90 % 구간", saved: "누적 절감량", day: "날짜", kwh: "kWh", measure: "조치",
    perDay: "일별 사용량", table: "날짜별 표", range: "표시 기간", all: "전체", last: "최근 {n}일",
    ok: "절감량 {saved} ± {half} kWh ({percent} ± {points} %), 신뢰수준 90 %.",
    unclear: "절감량 {saved} ± {half} kWh ({percent} ± {points} %): 신뢰수준 90 %에서 절감이 없을 수도 있습니다.",
    "does-not-fit": "추정하지 않음: 기준 모형이 이 건물을 설명하지 못합니다. CV(RMSE) {cv} %, 편향 {bias} %이며, 30 %와 10 % 이하여야 합니다.",
    "too-little-data": "추정하지 않음: 기준 기간의 검침이 {weeks}주뿐이며 8주가 필요합니다.",
    "nothing-after": "추정하지 않음: 조치 이후의 검침이 없습니다.",
    model: { "time of week and temperature": "모형: 요일·시각과 기온", "time of week": "모형: 요일·시각" },
    fit: "CV(RMSE) {cv} % · {weeks}주",
    outside: "조치 이후 시간의 {outside} %는 기준 기간에 없던 기온이어서 그때의 기준값은 짐작입니다.",
    chart: "{what}, {from}부터 {to}까지. 화살표 키로 하루씩 이동합니다.",
    none: "아직 표시할 날이 없습니다.",
  },
};

const SPANS = [30, 90, 0];
const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 168;
const EDGE = { left: 46, right: 8, top: 10, bottom: 22 };
const MOST_ROWS = 100;

export async function mount(element, shell) {
  element.classList.add("building-energy");
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  const id = shell.entity.id;
  let result = null;
  let problem = null;
  let span = 90;
  let gone = false;

  const t = (key, values = {}) => {
    const texts = TEXTS[shell.language] ?? TEXTS.en;
    return (texts[key] ?? TEXTS.en[key]).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  };
  const number = (value, decimals = 0) => (value == null ? "–" : shell.format.number(value, decimals));
  const date = (day) =>
    new Intl.DateTimeFormat(shell.language, { timeZone: "UTC", month: "short", day: "numeric" }).format(new Date(day));

  const draw = () => {
    const focused = element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    element.replaceChildren();
    if (!result) {
      element.append(html("p", { class: "hint" }, problem ?? t("none")));
      return;
    }
    const days = span ? result.days.slice(-span) : result.days;
    element.append(verdict(), spans());
    if (days.length) {
      const whole = result.days.filter((day) => day.share >= 0.9).slice(-(span || result.days.length)); // half a day is no low one
      if (whole.length) element.append(chart(whole, "perDay", t("perDay"), [["baseline", "low", "high"], ["measured"]]));
      if (days.some((day) => day.saved != null)) element.append(chart(days.filter((day) => day.saved != null), "saved", t("saved"), [["saved", "savedLow", "savedHigh"]]));
      element.append(table(days));
    }
    if (focused) element.querySelector(`[data-key="${focused}"]`)?.focus();
  };

  const verdict = () => {
    const values = {
      saved: number(result.savedKwh), half: number(result.uncertaintyKwh),
      percent: number(result.savedPercent, 1), points: number(result.uncertaintyPercent, 1),
      cv: number(result.cvRmse == null ? null : 100 * result.cvRmse, 0),
      bias: number(result.nmbe == null ? null : 100 * result.nmbe, 0), weeks: number(result.weeks, 0),
    };
    const clear = result.status !== "ok" || Math.abs(result.savedKwh) > result.uncertaintyKwh;
    const lines = [html("p", { class: "verdict", "data-status": result.status }, t(clear ? result.status : "unclear", values))];
    if (result.cvRmse != null) {
      const model = (TEXTS[shell.language] ?? TEXTS.en).model[result.model];
      lines.push(html("p", { class: "fine" }, `${model} · ${t("fit", values)}`));
    }
    if (result.outside > 0.02) lines.push(html("p", { class: "fine" }, t("outside", { outside: number(100 * result.outside, 0) })));
    return html("div", {}, ...lines);
  };

  const spans = () => {
    const buttons = SPANS.map((days) => {
      const button = html("button", { type: "button", class: "segment", "aria-pressed": String(span === days), "data-key": `span-${days}` },
        days ? t("last", { n: days }) : t("all"));
      if (span === days) button.dataset.selected = "true";
      button.addEventListener("click", () => {
        span = days;
        draw();
      });
      return button;
    });
    return html("div", { class: "segments", role: "group", "aria-label": t("range") }, ...buttons);
  };

  /** Lines of [name] or [name, low, high] over days, with a pointer and arrow keys to read them off. */
  const chart = (days, kind, title, lines) => {
    const width = Math.max(240, Math.round(element.clientWidth) || 320);
    const drawn = lines.filter(([name]) => days.some((day) => day[name] != null));
    const every = drawn.flatMap((names) => days.flatMap((day) => names.map((name) => day[name]))).filter((value) => value != null);
    const top = Math.max(0, ...every);
    const bottom = Math.min(0, ...every);
    const ticks = round(bottom, top);
    const low = Math.min(bottom, ticks[0]);
    const high = Math.max(top, ticks.at(-1));
    const x = (i) => EDGE.left + ((width - EDGE.left - EDGE.right) * i) / Math.max(1, days.length - 1);
    const y = (value) => HEIGHT - EDGE.bottom - ((HEIGHT - EDGE.bottom - EDGE.top) * (value - low)) / (high - low || 1);
    const label = t("chart", { what: title, from: date(days[0].day), to: date(days.at(-1).day) });
    const picture = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width: "100%", height: HEIGHT, role: "img", "aria-label": label });
    const compact = new Intl.NumberFormat(shell.language, { notation: "compact", maximumFractionDigits: 1 });
    for (const tick of ticks) {
      picture.append(svg("line", { x1: EDGE.left, x2: width - EDGE.right, y1: y(tick), y2: y(tick), class: tick === 0 ? "axis" : "grid" }));
      picture.append(svg("text", { x: EDGE.left - 6, y: y(tick) + 4, "text-anchor": "end" }, compact.format(tick)));
    }
    for (const i of [...new Set([0, Math.floor((days.length - 1) / 2), days.length - 1])]) {
      const anchor = i === 0 ? "start" : i === days.length - 1 ? "end" : "middle";
      picture.append(svg("text", { x: x(i), y: HEIGHT - 6, "text-anchor": anchor }, date(days[i].day)));
    }
    const since = days.findIndex((day) => day.reporting);
    if (kind === "perDay" && since > 0) {
      picture.append(svg("line", { x1: x(since), x2: x(since), y1: EDGE.top, y2: HEIGHT - EDGE.bottom, class: "measure" }));
      const late = x(since) > width / 2;
      picture.append(svg("text", { x: x(since) + (late ? -5 : 5), y: EDGE.top + 9, "text-anchor": late ? "end" : "start" }, t("measure")));
    }
    for (const [name, from, to] of drawn) {
      for (const run of runs(days, name)) {
        if (from) {
          const upper = run.map((i) => `${x(i).toFixed(1)},${y(days[i][to]).toFixed(1)}`);
          const lower = run.map((i) => `${x(i).toFixed(1)},${y(days[i][from]).toFixed(1)}`).reverse();
          picture.append(svg("polygon", { points: [...upper, ...lower].join(" "), class: `band ${name}` }));
        }
      }
    }
    for (const [name] of drawn) {
      for (const run of runs(days, name)) {
        const points = run.map((i) => `${x(i).toFixed(1)},${y(days[i][name]).toFixed(1)}`).join(" ");
        picture.append(svg("polyline", { points, class: `line ${name}` }));
      }
    }
    const cursor = svg("line", { y1: EDGE.top, y2: HEIGHT - EDGE.bottom, class: "cursor", visibility: "hidden" });
    picture.append(cursor);
    const told = html("output", { class: "told", "aria-live": "polite" });
    let at = days.length - 1;
    const say = (i) => {
      at = Math.max(0, Math.min(days.length - 1, i));
      cursor.setAttribute("x1", x(at));
      cursor.setAttribute("x2", x(at));
      cursor.setAttribute("visibility", "visible");
      told.textContent = [date(days[at].day), ...drawn.map((names) => spoken(days[at], names))].join(" · ");
    };
    const place = html("div", { class: "place", tabindex: "0", role: "slider", "aria-label": label, "data-key": kind,
      "aria-valuemin": "0", "aria-valuemax": String(days.length - 1), "aria-valuenow": String(at), "aria-valuetext": "" }, picture);
    picture.removeAttribute("role");
    picture.removeAttribute("aria-label");
    picture.setAttribute("aria-hidden", "true");
    const tell = (i) => {
      say(i);
      place.setAttribute("aria-valuenow", String(at));
      place.setAttribute("aria-valuetext", told.textContent);
    };
    place.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect();
      const along = ((event.clientX - box.left) / box.width) * width;
      tell(Math.round(((along - EDGE.left) / (width - EDGE.left - EDGE.right)) * (days.length - 1)));
    });
    place.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 7, PageDown: -7 }[event.key];
      const to = event.key === "Home" ? 0 : event.key === "End" ? days.length - 1 : step === undefined ? null : at + step;
      if (to === null) return;
      event.preventDefault();
      tell(to);
    });
    tell(at);
    cursor.setAttribute("visibility", "hidden");
    const keys = drawn.flatMap(([name, from]) => [html("span", { class: `key ${name}` }, t(name)), ...(from ? [html("span", { class: `key band ${name}` }, t("band"))] : [])]);
    return html("figure", { "data-chart": kind, "data-days": String(days.length) },
      html("figcaption", {}, html("b", {}, title), html("span", { class: "keys" }, ...keys)), place, told);
  };

  const spoken = (day, [name, from, to]) => {
    const band = from && day[from] != null ? ` (${number(day[from])}–${number(day[to])})` : "";
    return `${t(name)} ${number(day[name])} ${t("kwh")}${band}`;
  };

  const table = (days) => {
    const names = ["measured", "baseline", "saved"];
    const head = html("tr", {}, ...[t("day"), ...names.map((name) => t(name))].map((text) => html("th", { scope: "col" }, text)));
    const rows = days.slice(-MOST_ROWS).reverse().map((day) =>
      html("tr", {}, html("th", { scope: "row" }, date(day.day)), ...names.map((name) => html("td", {}, number(day[name])))));
    const body = html("table", {}, html("thead", {}, head), html("tbody", {}, ...rows));
    return html("details", { class: "readings" }, html("summary", { "data-key": "table" }, t("table")),
      html("div", { tabindex: "0", role: "region", "aria-label": t("table") }, body));
  };

  const load = async () => {
    try {
      result = await shell.api.get(`/api/energy/v1/buildings/${encodeURIComponent(id)}/series`);
      problem = null;
    } catch (error) {
      result = null;
      problem = error.status === 404 ? null : error.message;
    }
    if (!gone) draw();
  };

  let known = 0;
  const resized = new ResizeObserver(() => {
    if (Math.abs(element.clientWidth - known) > 4) {
      known = element.clientWidth;
      draw();
    }
  });
  await load();
  known = element.clientWidth;
  resized.observe(element);
  const figures = ["savedEnergy", "savingsStatus", "baselineCvRmse"];
  let last = JSON.stringify(figures.map((name) => shell.entity?.values[name]));
  shell.live("Building", ({ set }) => {
    const mine = set.find((one) => one.id === id);
    const now = mine && JSON.stringify(figures.map((name) => mine.values[name]));
    if (mine && now !== last) {
      last = now;
      void load();
    }
  });
  shell.changed(draw);
  return () => {
    gone = true;
    resized.disconnect();
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
  };
}

/** Runs of consecutive days that have a value. */
function runs(days, name) {
  const found = [];
  let run = [];
  days.forEach((day, i) => {
    const near = run.length && Date.parse(day.day) - Date.parse(days[i - 1].day) <= 86_400_000 * 1.5;
    if (day[name] == null || (run.length && !near)) {
      if (run.length) found.push(run);
      run = [];
    }
    if (day[name] != null) run.push(i);
  });
  if (run.length) found.push(run);
  return found;
}

/** Round values that divide a range. */
function round(low, high) {
  const rough = (high - low || 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((times) => power * times >= rough);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) ticks.push(i * step || 0); // no -0
  if (ticks.at(-1) < high) ticks.push(ticks.at(-1) + step);
  return ticks;
}

function html(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function svg(name, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

const STYLE = `
.building-energy { display: grid; gap: 10px; min-width: 0; }
.building-energy .verdict { font-size: var(--small); font-weight: 600; }
.building-energy .fine, .building-energy .told { font-size: var(--tiny); color: var(--muted); }
.building-energy .segments { justify-self: start; }
.building-energy figure { display: grid; gap: 4px; min-width: 0; }
.building-energy figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 2px 10px; font-size: var(--tiny); color: var(--muted); }
.building-energy figcaption b { color: var(--ink); font-size: var(--small); font-weight: 600; }
.building-energy .keys { display: flex; flex-wrap: wrap; gap: 2px 10px; }
.building-energy .key::before { content: ""; display: inline-block; width: 14px; height: 0; margin-inline-end: 5px; vertical-align: middle; border-top: 2px solid var(--of); }
.building-energy .key.baseline::before { border-top-style: dashed; }
.building-energy .key.band::before { height: 9px; border: 0; background: color-mix(in srgb, var(--of) 30%, transparent); }
.building-energy .measured { --of: light-dark(#b0562a, #f0a070); }
.building-energy .baseline { --of: light-dark(#2f62ad, #8fb8f2); }
.building-energy .saved { --of: light-dark(#14804a, #4cc38a); }
.building-energy .place { touch-action: pan-y; border-radius: 6px; }
.building-energy svg { display: block; }
.building-energy svg text { font-size: 11px; fill: var(--muted); }
.building-energy .grid { stroke: var(--chart-grid); }
.building-energy .axis { stroke: var(--strong-line); }
.building-energy .measure { stroke: var(--muted); stroke-dasharray: 2 3; }
.building-energy .cursor { stroke: var(--ink); stroke-opacity: 0.55; }
.building-energy .line { fill: none; stroke: var(--of); stroke-width: 1.8; stroke-linejoin: round; }
.building-energy .line.baseline { stroke-dasharray: 5 3; }
.building-energy polygon.band { fill: var(--of); fill-opacity: 0.18; }
.building-energy .told { min-height: 1.4em; }
.building-energy .readings th[scope="row"] { font-weight: 400; }
.building-energy .readings td, .building-energy .readings thead th + th { text-align: end; }
`;

// The parts that views are made of.

import { h, s } from "./dom.js";
import { Problem } from "./api.js";

/** Words for states → tone, and a shape that says the same without colour. */
const TONES = {
  up: "good", normal: "good", ok: "good", healthy: "good", alive: "good", "this node": "good", live: "good",
  adopted: "good", done: "good", passed: "good", holds: "good", believed: "good", closed: "good", pass: "good",
  held: "warn", degraded: "warn", polling: "warn", drain: "warn", drained: "warn", draining: "warn", stale: "warn",
  weight: "warn", silent: "warn", warning: "warn", notice: "warn", suspect: "warn", frozen: "warn", running: "warn",
  ejected: "warn", "half open": "warn", unproven: "warn", aborted: "warn", blind: "warn", failback: "warn",
  down: "bad", "last-resort": "bad", lost: "bad", error: "bad", refused: "bad", "force-down": "bad",
  failed: "bad", fails: "bad", open: "bad", disable: "bad", panic: "bad", nothing: "bad", alert: "bad", critical: "bad",
  "force-up": "warn", disabled: "idle", left: "idle", "never heard": "idle", unknown: "idle", none: "idle", info: "idle",
};

/** `good`, `warn`, `bad` or `idle`. */
export const tone = (word) => TONES[word] ?? TONES[String(word).split(/[ :,…]/)[0]] ?? "idle";

/** Circle, triangle, cross, ring: health without colour. `size` is the radius. */
export function shape(kind, size = 5, extra = {}) {
  const r = size;
  switch (kind) {
    case "good":
      return s("circle", { class: "shape good", r, ...extra });
    case "warn":
      return s("path", { class: "shape warn", d: `M0,${-r * 1.25}L${r * 1.2},${r}L${-r * 1.2},${r}Z`, ...extra });
    case "bad":
      return s("path", {
        class: "shape bad",
        d: cross(r * 1.15, r * 0.42),
        ...extra,
      });
    default:
      return s("path", { class: "shape idle", d: `M0,${-r * 1.25}L${r * 1.25},0L0,${r * 1.25}L${-r * 1.25},0Z`, ...extra });
  }
}

/** An X of arms `w` thick. */
function cross(r, w) {
  const a = r - w;
  return `M0,${-w}L${a},${-r}L${r},${-a}L${w},0L${r},${a}L${a},${r}L0,${w}L${-a},${r}L${-r},${a}L${-w},0L${-r},${-a}L${-a},${-r}Z`;
}

/** A state in a word, with its shape. */
export function badge(word, text = word, kind = tone(word)) {
  return h(
    "span",
    { class: `badge ${kind}` },
    s("svg", { class: "glyph", viewBox: "-7 -7 14 14", "aria-hidden": "true" }, shape(kind)),
    text,
  );
}

/** A link within the console. */
export const link = (to, ...text) => h("a", { href: `#/${to}` }, ...text);
/** The way to an object's page. */
export const path = (...parts) => parts.map(encodeURIComponent).join("/");

/** The top of a view. */
export function heading(title, lead, ...actions) {
  return h(
    "div",
    { class: "top" },
    h("div", {}, h("h1", { id: "title", tabindex: "-1" }, title), lead && h("p", { class: "lead" }, lead)),
    actions.length ? h("div", { class: "actions" }, ...actions) : null,
  );
}

/** A panel with a heading. `id` keeps it the same from one rendering to the next. */
export function panel(title, { note, actions, wide, id, flush, level = 2 } = {}, ...body) {
  const name = id ?? `p-${title.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;
  return h(
    "section",
    { class: `panel${wide ? " wide" : ""}${flush ? " flush" : ""}`, key: name, "aria-labelledby": name },
    h(
      "div",
      { class: "panel-head" },
      h(`h${level}`, { id: name }, title),
      note && h("p", { class: "quiet" }, note),
      actions && h("div", { class: "actions" }, actions),
    ),
    ...body,
  );
}

/** Facts by name; a third thing that is true gives one the whole width. */
export function facts(list) {
  return h(
    "dl",
    { class: "facts" },
    list.filter(Boolean).map(([name, value, wide]) => h("div", { class: wide ? "wide" : null }, h("dt", {}, name), h("dd", {}, value ?? "—"))),
  );
}

/** Figures in large type. */
export function figures(list) {
  return h(
    "dl",
    { class: "figures" },
    list.filter(Boolean).map(([name, value, kind, to]) =>
      h(
        "div",
        { class: `figure ${kind ?? ""}` },
        h("dt", {}, name),
        h("dd", {}, to ? link(to, value) : value),
      ),
    ),
  );
}

/** Nothing to show, and why. */
export const empty = (text, ...more) => h("div", { class: "empty" }, h("p", {}, text), ...more);
/** While it is asked for. */
export const loading = () => h("p", { class: "quiet loading", role: "status" }, "Loading…");

/** What went wrong, in the node's words. */
export function trouble(error, again) {
  const problem = error instanceof Problem ? error : null;
  return h(
    "div",
    { class: "notice bad", role: "alert" },
    h("p", {}, h("strong", {}, problem?.title ? sentence(problem.title) : "It did not work"), " ", String(error.message ?? error)),
    problem?.parameter && h("p", {}, "Parameter: ", h("code", {}, problem.parameter)),
    problem?.problems?.length > 0 && h("ul", {}, problem.problems.map((p) => h("li", {}, String(p)))),
    again && h("button", { type: "button", onclick: again }, "Try again"),
  );
}

/** A hint in a box: `info`, `warn`, `bad` or `good`. */
export const notice = (kind, ...body) => h("div", { class: `notice ${kind}` }, ...body);

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}:`;

/** Widths of pages, below which tables become cards: of few columns, and of many. */
export const NARROW = [640, 860];

/** Whether a table of so many columns does not fit. */
const narrow = (columns) => innerWidth <= NARROW[columns > 5 ? 1 : 0];

/**
 * A table. `columns`: `{name, cell(row), num, sort(row), head}`; the first column names the row.
 * It scrolls by itself where it does not fit. Where the page is narrow each row is a card (by the styles), unless
 * the table `keeps` its columns. The roles are said because a browser does not take for a table what is laid out
 * as cards.
 */
export function table(caption, columns, rows, { key, none, tight, kind, visible, keeps } = {}) {
  if (!rows.length) return empty(none ?? "Nothing here.");
  const cell = (column, row, at) => {
    const made = column.cell(row);
    const cls = [column.num && "num", column.wrap && "wrap"].filter(Boolean).join(" ") || null;
    return at === 0
      ? h("th", { scope: "row", role: "rowheader", class: cls }, made)
      : h("td", { role: "cell", class: cls, "data-name": column.name || null }, made ?? "—");
  };
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
    h(
      "table",
      { role: "table", class: [!keeps && narrow(columns.length) && "cards", tight && "tight", kind].filter(Boolean).join(" ") || null },
      h("caption", { class: visible ? null : "hidden" }, caption),
      h(
        "thead",
        { role: "rowgroup" },
        h("tr", { role: "row" }, columns.map((c) => h("th", { scope: "col", role: "columnheader", class: c.num ? "num" : null }, c.head ?? c.name))),
      ),
      h(
        "tbody",
        { role: "rowgroup" },
        rows.map((row, i) =>
          h("tr", { role: "row", key: key ? key(row) : i }, columns.map((c, at) => cell(c, row, at))),
        ),
      ),
    ),
  );
}

/** Slices a list; `r.state` keeps where we are. */
export function paged(r, list, size = 50, name = "page") {
  const pages = Math.max(1, Math.ceil(list.length / size));
  const at = Math.min(r.state[name] ?? 0, pages - 1);
  const go = (to) => () => {
    r.state[name] = to;
    r.render();
  };
  const rows = list.slice(at * size, (at + 1) * size);
  const bar =
    pages > 1 &&
    h(
      "div",
      { class: "pager", role: "group", "aria-label": "Pages" },
      h("button", { type: "button", disabled: at === 0, onclick: go(at - 1) }, "Previous"),
      h("span", { class: "quiet" }, `${at * size + 1}–${Math.min((at + 1) * size, list.length)} of ${list.length}`),
      h("button", { type: "button", disabled: at === pages - 1, onclick: go(at + 1) }, "Next"),
    );
  return { rows, bar };
}

/** A labelled input. `kind`: an input's type, `select` with `options`, or `area`. */
export function field(label, name, { kind = "text", options, hint, value, wide, error, list, ...more } = {}) {
  const id = `f-${name}`;
  const about = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || null;
  const common = { id, name, "aria-describedby": about, "aria-invalid": error ? "true" : null, ...more };
  let input;
  if (kind === "select") {
    input = h(
      "select",
      { ...common, value },
      options.map((o) => {
        const [to, text] = Array.isArray(o) ? o : [o, o];
        return h("option", { value: to, key: to }, text);
      }),
    );
  } else if (kind === "area") input = h("textarea", { rows: 3, ...common, value });
  else input = h("input", { type: kind, autocomplete: "off", list: list ? `${id}-list` : null, ...common, value });
  return h(
    "div",
    { class: `field${wide ? " wide" : ""}`, key: id },
    h("label", { for: id }, label),
    input,
    list && h("datalist", { id: `${id}-list` }, list.map((v) => h("option", { value: v }))),
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
    error && h("p", { class: "hint error", id: `${id}-error` }, error),
  );
}

/** A labelled tick. */
export function tick(label, name, more = {}) {
  const id = `f-${name}`;
  return h("div", { class: "field tick", key: id }, h("input", { type: "checkbox", id, name, ...more }), h("label", { for: id }, label));
}

/** What a form has, without what was left empty. */
export function values(form) {
  const out = {};
  for (const [name, value] of new FormData(form)) {
    if (typeof value === "string" && value.trim() !== "") out[name] = value.trim();
  }
  return out;
}

/** A share as a bar that also says its number. */
export function bar(share, text, kind = "") {
  const part = Math.max(0, Math.min(1, share ?? 0));
  return h(
    "span",
    { class: `bar ${kind}` },
    h("span", { class: "bar-track", "aria-hidden": "true" }, h("span", { class: "bar-fill", style: { width: `${(part * 100).toFixed(1)}%` } })),
    h("span", { class: "bar-text" }, text),
  );
}

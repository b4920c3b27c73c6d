// Lists that the node gives page by page: thousands of rows are never on the page at once.

import { h } from "./dom.js";
import { field } from "./parts.js";

/** Rows of a page. */
export const PAGE = 50;

/** The query of the page that is shown. */
export function at(r, more = {}) {
  r.state.trail ??= [undefined];
  return { ...more, limit: PAGE, after: r.state.trail.at(-1) };
}

/** Back and forth. `next` is where the node says the next page begins. */
export function pager(r, next) {
  const trail = r.state.trail ?? [undefined];
  if (trail.length === 1 && !next) return null;
  const go = (change) => () => {
    change(r.state.trail);
    r.refresh();
  };
  return h(
    "div",
    { class: "pager", role: "group", "aria-label": "Pages" },
    h("button", { type: "button", disabled: trail.length === 1, onclick: go((t) => t.pop()) }, "Previous"),
    h("span", { class: "quiet" }, `Page ${trail.length}`),
    h("button", { type: "button", disabled: !next, onclick: go((t) => t.push(next)) }, "Next"),
  );
}

/** Fields above a list; what is chosen goes into the address, and the list begins anew. */
export function filters(r, fields) {
  let due;
  const change = (event) => {
    const { name, value } = event.target;
    clearTimeout(due);
    due = setTimeout(() => {
      r.state.trail = [undefined];
      r.ask({ ...r.query, [name]: value.trim() });
    }, event.type === "input" ? 250 : 0);
  };
  return h(
    "form",
    { class: "tools", role: "search", onsubmit: (e) => e.preventDefault() },
    fields.map(([label, name, options]) =>
      options
        ? field(label, name, { kind: "select", options, value: r.query[name] ?? [options[0]].flat()[0], onchange: change })
        : field(label, name, { kind: "search", value: r.query[name] ?? "", oninput: change, onchange: change }),
    ),
  );
}

// The configuration in force: every value, and where it came from.

import { get, send } from "../lib/api.js";
import { h, toast } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { badge, field, heading, notice, paged, table, trouble } from "../lib/parts.js";

export const title = () => "Configuration";
/** It changes by a reload only. */
export const calm = 5000;

/** Most options that are looked through here; a path narrows it down. */
const MOST = 5000;

export async function load(r) {
  const options = [];
  let after;
  do {
    const page = await get("/v1/config", { query: { path: r.query.path, after, limit: 1000 }, signal: r.abort.signal });
    options.push(...page.options);
    after = page.next;
    Object.assign(r.state, { digest: page.config, total: page.total });
  } while (after !== undefined && after !== null && options.length < MOST);
  return { options };
}

const text = (v) => (typeof v === "string" ? v : JSON.stringify(v));

async function reload(r) {
  r.state.refused = null;
  try {
    const done = await send("POST", "/v1/reload");
    toast(`Reloaded: generation ${done.generation} serves it.${done.warnings.length ? ` ${done.warnings.length} warnings.` : ""}`);
  } catch (error) {
    r.state.refused = error;
  }
  r.refresh();
}

export function render(r, data) {
  const all = data.options;
  const wanted = (r.query.q ?? "").toLowerCase();
  const origin = r.query.from ?? "";
  const list = all.filter((v) => (!wanted || `${v.path} ${text(v.value)} ${v.from}`.toLowerCase().includes(wanted)) && (!origin || (origin === "default") === (v.from === "default")));
  const page = paged(r, list, 100);
  const search = (name) => (e) => {
    r.query = { ...r.query, [name]: e.target.value };
    r.state.page = 0;
    history.replaceState(null, "", `#/config?${new URLSearchParams(Object.entries(r.query).filter(([, v]) => v))}`);
    r.render();
  };
  return [
    heading("Configuration", "What is in force, with where each value came from. Secrets are not shown.", r.state.digest && h("span", { class: "chip mono", title: r.state.digest }, r.state.digest.slice(0, 16)),
      h("button", { type: "button", disabled: !r.may("admin"), title: r.may("admin") ? null : "Only an admin reloads", onclick: () => reload(r) }, "Reload from its files")),
    r.state.refused && trouble(r.state.refused),
    r.state.total > all.length && notice("warn", h("p", {}, `${number(all.length)} of ${number(r.state.total)} values are looked through; give a path to narrow them down.`)),
    h("form", { class: "tools", role: "search", onsubmit: (e) => e.preventDefault() },
      field("Find", "q", { kind: "search", value: r.query.q ?? "", oninput: search("q") }),
      field("Path", "path", { kind: "search", value: r.query.path ?? "", placeholder: "pools.eu", onchange: (e) => r.ask({ ...r.query, path: e.target.value.trim() }) }),
      field("From", "from", { kind: "select", options: [["", "Files and defaults"], ["files", "Files"], ["default", "Defaults"]], value: origin, onchange: search("from") })),
    h("section", { class: "panel flush", "aria-label": "Values" },
      table("Values in force", [
        { name: "Option", cell: (v) => h("code", {}, v.path) },
        { name: "Value", wrap: true, cell: (v) => h("code", {}, text(v.value)) },
        { name: "From", cell: (v) => (v.from === "default" ? badge("none", "default", "idle") : h("code", {}, v.from)) },
      ], page.rows, { key: (v) => v.path, tight: true, none: "No value matches." }),
      page.bar),
  ];
}

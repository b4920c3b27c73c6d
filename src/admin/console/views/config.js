// The configuration in force: every value, and where it came from.

import { get, send } from "../lib/api.js";
import { h, toast } from "../lib/dom.js";
import { badge, field, heading, paged, table, trouble } from "../lib/parts.js";

export const title = () => "Configuration";
/** It changes by a reload only. */
export const calm = 5000;

export async function load(r) {
  return get("/v1/config", { signal: r.abort.signal });
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
  const all = data.config ?? data.values ?? data.settings ?? [];
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
    heading("Configuration", "What is in force, with where each value came from. Secrets are not shown.",
      h("button", { type: "button", disabled: !r.may("admin"), title: r.may("admin") ? null : "Only an admin reloads", onclick: () => reload(r) }, "Reload from its files")),
    r.state.refused && trouble(r.state.refused),
    h("form", { class: "tools", role: "search", onsubmit: (e) => e.preventDefault() },
      field("Find", "q", { kind: "search", value: r.query.q ?? "", oninput: search("q") }),
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

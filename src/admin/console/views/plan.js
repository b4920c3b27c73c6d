// What another configuration would change in answers.

import { get, send } from "../lib/api.js";
import { h, say } from "../lib/dom.js";
import { number, percent, short, span } from "../lib/format.js";
import { map } from "../lib/map.js";
import { badge, bar, empty, field, figures, heading, link, notice, panel, path, table, trouble } from "../lib/parts.js";
import { region_kind } from "./world.js";

export const title = () => "Plan";
/** The form holds what was typed; the world behind it may wait. */
export const still = true;

export async function load(r) {
  return { regions: (await get("/v1/regions", { signal: r.abort.signal })).regions };
}

/** Largest upload, in octets. */
const MOST = 4 * 1024 * 1024;

async function plan(r, form) {
  const files = {};
  for (const file of form.elements.namedItem("files").files) files[file.name] = await file.text();
  const text = form.elements.namedItem("text").value;
  if (text.trim()) files[form.elements.namedItem("as").value.trim() || "tradewind.toml"] = text;
  const shift = form.elements.namedItem("shift").value.trim();
  const size = Object.values(files).reduce((n, t) => n + t.length, 0);
  Object.assign(r.state, { error: null, report: null });
  if (!size || size > MOST) {
    r.state.error = new Error(size ? `The files have ${number(size)} octets; ${number(MOST)} are allowed here. Use tradewind plan.` : "Paste a configuration or choose its files.");
    r.render();
    return;
  }
  r.state.busy = true;
  r.render();
  try {
    r.state.report = await send("POST", "/v1/plan", { files, ...(shift && { "max-shift": shift }) }, { patience: 120_000 });
    say("The plan is there");
  } catch (error) {
    r.state.error = error;
  }
  r.state.busy = false;
  r.render();
  document.getElementById("result")?.focus();
}

function form(r) {
  return panel("Another configuration", { id: "another" },
    h("form", { class: "form", id: "plan", onsubmit: (e) => { e.preventDefault(); plan(r, e.currentTarget); } },
      field("Files", "files", { kind: "file", multiple: true, accept: ".toml", hint: "All *.toml files of the configuration; what they name (zones, databases) is taken from the node." }),
      field("Most that may move", "shift", { placeholder: "10%", hint: "More than that, and the plan fails." }),
      h("div", { class: "field wide", key: "text" }, h("label", { for: "f-text" }, "Or paste it"), h("textarea", { id: "f-text", name: "text", rows: 10, class: "mono", spellcheck: "false" })),
      field("File name of what is pasted", "as", { value: "tradewind.toml" }),
      h("div", { class: "actions wide" }, h("button", { type: "submit", class: "main-action", disabled: r.state.busy }, r.state.busy ? "Working it out…" : "Plan"))));
}

const share = (x) => (typeof x === "number" ? x : null);

function moved_map(r, report, regions) {
  const at = new Map(regions.map((x) => [x.name, [x.longitude, x.latitude]]));
  const shifts = (report.shifts ?? report.moves ?? []).filter((s) => at.has(s.from) && at.has(s.to) && s.from !== s.to);
  const most = Math.max(1e-9, ...shifts.map((s) => share(s.share) ?? 0));
  return map(r, {
    title: "Map of the shifts",
    text: shifts.length ? shifts.map((s) => `${percent(s.share, 1)} from ${s.from} to ${s.to}`).join("; ") : "Nothing moves between regions.",
    places: regions.map((x) => ({ name: x.name, at: at.get(x.name), kind: region_kind(x) })),
    arcs: shifts.map((s) => ({ from: at.get(s.from), to: at.get(s.to), weight: s.share / most, kind: "moved", note: `${percent(s.share, 1)} from ${s.from} to ${s.to}` })),
  });
}

function result(r, p, regions) {
  const shifts = p.shifts ?? p.moves ?? [];
  return h("div", { class: "stack", key: "result" },
    h("h2", { id: "result", tabindex: "-1" }, p.verdict ?? (p.passed === false ? "The plan moves more than it may" : "What would change")),
    p.passed !== undefined && notice(p.passed ? "good" : "bad", h("p", {}, p.text ?? (p.passed ? "Within the bound." : "Beyond the bound."))),
    figures([
      ["Share that moves", percent(p.moved ?? p.share, 1), (p.passed === false && "bad") || null],
      p.basis && ["Judged by", p.basis],
      ["Names changed", number(p.names?.length)],
    ]),
    h("section", { class: "panel flush", "aria-label": "Map of the shifts" }, moved_map(r, p, regions)),
    h("section", { class: "panel flush", "aria-label": "Shifts" },
      table("What moves", [
        { name: "Name", cell: (s) => (s.name ? link(path("names", s.name), s.name) : "all names") },
        { name: "From", cell: (s) => s.from ?? "—" },
        { name: "To", cell: (s) => s.to ?? "—" },
        { name: "Share", cell: (s) => bar(s.share, percent(s.share, 1)) },
        { name: "Networks", wrap: true, cell: (s) => (s.networks ?? s.prefixes ?? []).slice(0, 6).join(", ") },
      ], shifts, { none: "No client moves." })),
    p.names?.length > 0 && h("section", { class: "panel flush", "aria-label": "Names" },
      table("Names that change", [
        { name: "Name", cell: (n) => n.name },
        { name: "What", cell: (n) => n.change ?? n.what },
        { name: "Worst-case failover", num: true, cell: (n) => (n.failover ? `${span(n.failover.before)} → ${span(n.failover.after)}` : "—") },
        { name: "Partitions", num: true, cell: (n) => (n.partitions ? `${number(n.partitions.before)} → ${number(n.partitions.after)}` : "—") },
      ], p.names)),
    p.loads?.length > 0 && panel("Predicted load", {}, table("Load of regions", [
      { name: "Region", cell: (x) => x.region },
      { name: "Before", num: true, cell: (x) => short(x.before) },
      { name: "After", num: true, cell: (x) => short(x.after) },
      { name: "Capacity", num: true, cell: (x) => short(x.capacity) },
    ], p.loads)));
}

export { badge, empty };

export function render(r, { regions }) {
  return [
    heading("Plan", "What another configuration would change in answers, before it is in force."),
    h("div", { class: "stack" }, form(r), r.state.error && trouble(r.state.error), r.state.report && result(r, r.state.report, regions)),
  ];
}

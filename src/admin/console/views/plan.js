// What another configuration would change in answers.

import { get, send } from "../lib/api.js";
import { h, say } from "../lib/dom.js";
import { number, percent, plural, short, span } from "../lib/format.js";
import { legend, map } from "../lib/map.js";
import { badge, bar, field, figures, heading, link, notice, panel, path, table, trouble } from "../lib/parts.js";
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
  const by = form.elements.namedItem("by").value;
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
    r.state.report = await send("POST", "/v1/plan", { files, by, ...(shift && { "max-shift": shift }) }, { patience: 120_000 });
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
      field("Shares of", "by", { kind: "select", options: [["traffic", "The queries of the last day, where there were any"], ["addresses", "The addresses whose place is known"]], value: "traffic" }),
      field("Most that may move", "shift", { placeholder: "10%", hint: "More than that, and the plan fails." }),
      h("div", { class: "field wide", key: "text" }, h("label", { for: "f-text" }, "Or paste it"), h("textarea", { id: "f-text", name: "text", rows: 10, class: "mono", spellcheck: "false" })),
      field("File name of what is pasted", "as", { value: "tradewind.toml" }),
      h("div", { class: "actions wide" }, h("button", { type: "submit", class: "main-action", disabled: r.state.busy }, r.state.busy ? "Working it out…" : "Plan"))));
}

/** Most example networks on the map. */
const EXAMPLES = 40;

function moved_map(r, p, regions) {
  const known = p.places?.length ? p.places : regions;
  const at = new Map(known.map((x) => [x.name, [x.longitude, x.latitude]]));
  const kinds = new Map(regions.map((x) => [x.name, region_kind(x)]));
  const moves = p.moves.filter((m) => m.from !== m.to);
  const most = Math.max(1e-9, ...moves.map((m) => m.share));
  const between = moves.filter((m) => at.has(m.from) && at.has(m.to));
  const examples = moves.flatMap((m) => m.examples.filter((e) => e.latitude !== null).map((e) => ({ ...e, to: m.to, from: m.from }))).sort((a, b) => b.share - a.share).slice(0, EXAMPLES);
  return map(r, {
    title: "Map of the shifts",
    text: moves.length ? `${moves.map((m) => `${percent(m.share, 1)} of clients from ${m.from} to ${m.to}`).join("; ")}.` : "No client moves to another region.",
    places: known.map((x) => ({ name: x.name, at: at.get(x.name), kind: kinds.get(x.name) ?? "idle", note: load_word(p, x.name) })),
    arcs: [
      ...examples.filter((e) => at.has(e.to)).map((e) => ({ from: [e.longitude, e.latitude], to: at.get(e.to), weight: 0.02, kind: "out", note: `${e.network} to ${e.to}` })),
      ...between.map((m) => ({ from: at.get(m.from), to: at.get(m.to), weight: m.share / most, kind: "moved", note: `${percent(m.share, 1)} from ${m.from} to ${m.to}` })),
    ],
    points: examples.map((e) => ({ at: [e.longitude, e.latitude], r: 3, note: `${e.network}: from ${e.from} to ${e.to}` })),
  });
}

/** A region's part of all clients, as it is and as it would be. */
function load_word(p, name) {
  const l = p.load.find((x) => x.region === name && x.pool === null);
  if (!l) return "";
  const [old, next] = [percent(l.load.old), percent(l.load.new)];
  return old === next ? `${old} of clients` : `${old} → ${next}`;
}

/** What is, and what would be; one of them where nothing changes. */
const pair = (p, show) => (p.old === p.new ? show(p.old) : `${show(p.old)} → ${show(p.new)}`);

const moves_table = (caption, moves) =>
  table(caption, [
    { name: "From", cell: (m) => m.from },
    { name: "To", cell: (m) => m.to },
    { name: "Part of all clients", cell: (m) => bar(m.share, percent(m.share, 2)) },
    { name: "Such as", wrap: true, cell: (m) => m.examples.slice(0, 4).map((e) => `${e.network}${e.country ? ` (${e.country})` : ""}`).join(", ") },
  ], moves, { none: "No client is sent to another region." });

function difference(p) {
  const rows = [["Names", p.steered], ["Pools", p.pools], ["Regions", p.regions]].flatMap(([what, d]) => [
    d.added.length > 0 && h("li", {}, `${what} added: ${d.added.join(", ")}`),
    d.removed.length > 0 && h("li", {}, `${what} removed: ${d.removed.join(", ")}`),
  ]).filter(Boolean);
  return rows.length > 0 && panel("Added and removed", { id: "difference" }, h("ul", { class: "plain-list" }, rows));
}

/** How the bound is kept. By traffic the most is held against it that the share may be, as far as samples tell. */
function gate_words(p) {
  const bound = percent(p.gate.max_shift, 2);
  const share = `${percent(p.shift, 2)} of clients would be sent to another region`;
  const most = percent(p.gate.compared, 2);
  if (p.gate.passes) return `Within the bound: ${share}${p.certainty ? `, surely no more than ${most}` : ""}; ${bound} may be.`;
  return `Beyond the bound: ${share}${p.certainty ? `, and as few queries say it may be up to ${most}` : ""}; only ${bound} may be.`;
}

/** Names that nobody asked for count in no sum. */
function unasked(p) {
  const { names, count, moving } = p.unasked;
  const more = count > names.length ? ` and ${number(count - names.length)} more` : "";
  return count > 0 && h("p", { class: "quiet", key: "unasked" }, `No query was seen for ${plural(count, "name")}, which count in no sum: ${names.join(", ")}${more}. Clients of ${number(moving)} of them would move.`);
}

function result(r, p, regions) {
  return h("div", { class: "stack", key: "result" },
    h("h2", { id: "result", tabindex: "-1" }, "What would change"),
    p.gate && notice(p.gate.passes ? "good" : "bad", h("p", {}, gate_words(p))),
    p.warnings.length > 0 && notice("warn", h("ul", {}, p.warnings.map((w) => h("li", {}, w)))),
    figures([
      ["Sent to another region", percent(p.shift, 2), p.gate && !p.gate.passes ? "bad" : null],
      ["Get another address", percent(p.changed, 2)],
      ["Judged by", p.basis === "traffic" ? `${short(p.queries)} queries of a day` : "addresses"],
      p.certainty && ["Samples behind it", `${number(p.certainty.samples)}, ± ${percent(p.certainty.standard_error, 2)}`, p.certainty.few ? "warn" : null],
      ["Names changed", number(p.names.length + p.names_left)],
      ["Names unchanged", number(p.names_unchanged)],
    ]),
    h("section", { class: "panel flush", "aria-labelledby": "h-shifts" },
      h("div", { class: "panel-head" }, h("h2", { id: "h-shifts" }, "Who moves"),
        p.gate && badge(p.gate.passes ? "passed" : "failed", p.gate.passes ? "the gate passes" : "the gate fails"),
        h("p", { class: "quiet" }, `${percent(p.shift, 2)} of clients${p.gate ? `; ${percent(p.gate.max_shift, 2)} may` : ""}`)),
      moved_map(r, p, regions),
      legend([["good", "healthy now"], ["warn", "weakened or drained"], ["bad", "out"], ["idle", "no endpoints"]],
        p.moves.some((m) => m.from !== m.to) ? [["point", "clients who move"], ["out", "to their new region"], ["moved", "from region to region; thicker is more"]] : []),
      moves_table("Who moves", p.moves)),
    p.names.length > 0 && h("section", { class: "panel flush", "aria-labelledby": "h-names" },
      h("div", { class: "panel-head" }, h("h2", { id: "h-names" }, "Names"), p.names_left > 0 && h("p", { class: "quiet" }, `and ${number(p.names_left)} more`)),
      table("Names of which something changes", [
        { name: "Name", cell: (n) => link(path("names", n.name), n.name) },
        { name: "Moves", num: true, cell: (n) => percent(n.shift, 2) },
        { name: "Another address", num: true, cell: (n) => percent(n.changed, 2) },
        { name: "Worst-case failover", num: true, cell: (n) => pair(n.failover, (v) => (v === null ? "—" : span(v))) },
        { name: "ECS partitions", num: true, cell: (n) => pair(n.partitions, number) },
        { name: "From, to", wrap: true, cell: (n) => n.moves.slice(0, 3).map((m) => `${m.from} → ${m.to} ${percent(m.share, 1)}`).join("; ") || "—" },
      ], p.names, { key: (n) => n.name })),
    p.load.length > 0 && h("section", { class: "panel flush", "aria-labelledby": "h-load" },
      h("div", { class: "panel-head" }, h("h2", { id: "h-load" }, "Predicted load"), h("p", { class: "quiet" }, "Strain above 1: it bears more than its part of what serves")),
      table("Predicted load against capacity", [
        { name: "Region, pool", cell: (x) => (x.pool === null ? x.region : `${x.region}, ${x.pool}`) },
        { name: "Part of all clients", num: true, cell: (x) => pair(x.load, (v) => percent(v, 1)) },
        { name: "Capacity", num: true, cell: (x) => pair(x.capacity, number) },
        { name: "Of it serving", num: true, cell: (x) => pair(x.serving, number) },
        { name: "Strain", num: true, cell: (x) => { const text = pair(x.strain, (v) => (v === null ? "nothing serves" : v.toFixed(2))); return (x.strain.new ?? 0) > 1 ? badge("warning", text) : text; } },
      ], p.load, { key: (x) => `${x.region} ${x.pool}` })),
    difference(p),
    p.new_names.length > 0 && h("section", { class: "panel flush", key: "new", "aria-labelledby": "h-new" },
      h("div", { class: "panel-head" }, h("h2", { id: "h-new" }, "New names")),
      table("Names that are added", [
        { name: "Name", cell: (n) => n.name },
        { name: "Worst-case failover", num: true, cell: (n) => (n.failover === null ? "—" : span(n.failover)) },
        { name: "ECS partitions", num: true, cell: (n) => number(n.partitions) },
      ], p.new_names, { key: (n) => n.name })),
    unasked(p),
    p.assumed_up.length > 0 && h("p", { class: "quiet" }, `Taken as up, since nobody has probed them yet: ${p.assumed_up.slice(0, 20).join(", ")}${p.assumed_up.length > 20 ? " and more" : ""}.`));
}

export function render(r, { regions }) {
  return [
    heading("Plan", "What another configuration would change in answers, before it is in force."),
    h("div", { class: "stack" }, form(r), r.state.error && trouble(r.state.error), r.state.report && result(r, r.state.report, regions)),
  ];
}

// One drill: how it goes, and what it showed.

import { get } from "../lib/api.js";
import { act, outcome, owner } from "../lib/act.js";
import { h, toast } from "../lib/dom.js";
import { clock, date, ms, number, percent, plural, span } from "../lib/format.js";
import { badge, bar, facts, figures, heading, link, notice, panel, path, table } from "../lib/parts.js";
import { deed, running, standing, whom } from "./drills.js";

export const title = (r) => `Drill ${r.args.name}`;

/** Between two looks while it runs: its clock goes on without events. */
const LOOK_MS = 1000;

export async function load(r) {
  const drill = await get(`/v1/${path("drills", r.args.name)}`, { signal: r.abort.signal });
  clearTimeout(r.state.due);
  if (drill.state !== "reported") r.state.due = setTimeout(() => r.refresh(), LOOK_MS);
  return drill;
}

export function leave(r) {
  clearTimeout(r.state.due);
}

async function save(r) {
  try {
    const text = await get(`/v1/${path("drills", r.args.name)}/report`, { accept: "text/markdown" });
    const at = URL.createObjectURL(new Blob([text], { type: "text/markdown" }));
    h("a", { href: at, download: `drill-${r.args.name}.md` }).click();
    setTimeout(() => URL.revokeObjectURL(at), 1000);
  } catch (error) {
    toast(error.message, "bad");
  }
}

const abort = (r, d) =>
  act(r, "abort", {
    path: `/v1/${path("drills", d.id)}/abort`,
    body: { owner: owner(r.world) || "console", reason: "aborted in the console" },
    said: () => ({ text: `Drill ${d.id} is aborted.` }),
  });

function progress(d) {
  const [from, to] = [date(d.begun ?? d.planned).getTime(), date(d.ends).getTime()];
  return running(d) && bar(1 - d.ends_in_ms / Math.max(1, to - from), `${span(d.ends_in_ms / 1000)} left`, "warn");
}

const time = (v) => (v === null || v === undefined ? "not seen yet" : ms(v));

/** After what time the last of what could move had moved, as far as it was seen. */
function tail(d) {
  const all = [["DNS answers", d.answers?.away], ["traffic", d.traffic?.away]].filter(([, m]) => m?.p99_ms !== null && m?.p99_ms !== undefined);
  return all.length ? all.map(([what, m]) => `99 % of ${what}: ${ms(m.p99_ms)}`).join("; ") : "not seen";
}

/** Promised against seen, step by step. */
function times(d) {
  const p = d.promised;
  const rows = [
    ["Detection", p?.detection_ms, d.seen.detection_ms],
    ["Decision and propagation", p?.publish_ms, d.seen.publish_ms],
    ["Caches (TTL)", p?.ttl_ms, undefined],
    ["Way back", undefined, d.seen.roll_back_ms],
  ];
  return h("section", { class: "panel flush", key: "times", "aria-labelledby": "h-times" },
    h("div", { class: "panel-head" }, h("h2", { id: "h-times" }, "Times"), p && h("p", { class: "quiet" }, "Promised for ", link(path("names", p.name), p.name), `: ${ms(p.total_ms)} at worst`)),
    table("Times, promised and seen", [
      { name: "Step", cell: ([name]) => name },
      { name: "Promised at worst", num: true, cell: ([, v]) => (v === undefined ? "—" : ms(v)) },
      { name: "Seen", num: true, cell: ([name, , v]) => (name.startsWith("Caches") ? tail(d) : time(v)) },
    ], rows, { key: ([name]) => name, keeps: true }));
}

/** When so much had moved away, and back. */
function moved(title, { away, back }, none) {
  const shares = (m) => (m ? [["50 %", m.p50_ms], ["90 %", m.p90_ms], ["99 %", m.p99_ms]] : []);
  const rows = [["Away", away], ["Back", back]].flatMap(([way, m]) => shares(m).map(([share, v]) => [way, share, v]));
  return table(title, [
    { name: "Way", cell: ([way]) => way },
    { name: "Share", cell: ([, share]) => share },
    { name: "After", num: true, cell: ([, , v]) => time(v) },
  ], rows, { key: ([way, share]) => `${way} ${share}`, keeps: true, none });
}

/** Where DNS sent clients, and when that had moved. */
function answers(a) {
  const share = (v) => (v === null || v === undefined ? "not asked" : percent(v, 1));
  const { before, during, after } = a.samples;
  const seen = a.nodes.length > 0;
  return h("section", { class: "panel flush", key: "answers", "aria-labelledby": "h-answers" },
    h("div", { class: "panel-head" }, h("h2", { id: "h-answers" }, "DNS answers"),
      h("p", { class: "quiet" }, [seen && `Seen by ${a.nodes.join(", ")} in samples: ${number(before)} before, ${number(during)} during, ${number(after)} after.`, a.why_not].filter(Boolean).join(" "))),
    seen && table("Where DNS sent clients", [
      { name: "Sent to", cell: (x) => x.region },
      { name: "Before", num: true, cell: (x) => share(x.before) },
      { name: "During", num: true, cell: (x) => share(x.during) },
      { name: "After", num: true, cell: (x) => share(x.after) },
    ], a.regions, { key: (x) => x.region, keeps: true }),
    seen && a.away && moved("When answers had moved", a));
}

function traffic(t) {
  return h("section", { class: "panel flush", key: "traffic", "aria-labelledby": "h-traffic" },
    h("div", { class: "panel-head" }, h("h2", { id: "h-traffic" }, "Traffic"), h("p", { class: "quiet" }, `${t.before_per_second.toFixed(1)} arrivals a second before, seen by ${t.nodes.join(", ")}`)),
    moved("When traffic had moved", t, "Too little traffic to tell."));
}

export function render(r, d) {
  const over = d.state === "reported";
  return [
    heading(`Drill ${d.id}`, `${deed(d)}, for ${whom(d)}. ${d.reason}`, standing(d),
      running(d) && h("button", { type: "button", class: "danger", disabled: !r.may("operator"), onclick: () => abort(r, d) }, "Abort"),
      h("button", { type: "button", onclick: () => save(r) }, over ? "Save the report" : "Save the report so far")),
    h("div", { class: "stack" },
      outcome(r, "abort", { glass: false }),
      d.break_glass && d.checks.some((c) => !c.holds) && notice("warn", h("p", {}, `A rule was broken knowingly: ${d.break_glass}`)),
      progress(d),
      d.label && running(d) && notice("info", h("p", {}, "Proves the way without moving production: ", h("code", {}, `dig ${d.label}.${d.names[0] ?? "NAME"}`))),
      figures([
        ["Detection", time(d.seen.detection_ms)], ["Propagation", time(d.seen.publish_ms)], ["Way back", time(d.seen.roll_back_ms)],
        ["Nodes that obeyed", `${number(d.nodes.filter((n) => n.begun).length)} of ${number(d.nodes.length)}`], ["Names", number(d.names_in_all)],
      ]),
      h("div", { class: "grid" },
        panel("Progress", {}, h("ol", { class: "steps" }, d.steps.map((x) =>
          h("li", {}, h("strong", {}, x.step), h("span", { class: "quiet" }, ` ${clock(x.at)} on ${x.node}, after ${ms(x.after_ms)}`), h("div", {}, x.text))))),
        h("div", { class: "stack" },
          panel("Rules", { note: "looked at before it began" }, d.checks.length ? h("ul", { class: "plain-list" }, d.checks.map((c) =>
            h("li", {}, badge(c.holds ? "holds" : "fails"), " ", h("strong", {}, c.rule), ` ${c.text}`))) : h("p", { class: "quiet" }, "Not yet.")),
          d.notes.length > 0 && panel("Notes", {}, h("ul", { class: "plain-list" }, d.notes.map((n) => h("li", {}, h("span", { class: "quiet" }, `${clock(n.at)} ${n.node} `), n.text))))),
        h("div", { class: "stack wide" },
          h("h2", {}, over ? "Report" : "So far"),
          times(d),
          answers(d.answers),
          d.traffic && traffic(d.traffic),
          d.nodes.length > 0 && h("section", { class: "panel flush", key: "nodes", "aria-labelledby": "h-nodes" },
            h("div", { class: "panel-head" }, h("h2", { id: "h-nodes" }, "Nodes")),
            table("When each node obeyed", [
              { name: "Node", cell: (n) => n.node },
              { name: "With the drill", num: true, cell: (n) => (n.begun ? `generation ${number(n.begun.generation)}, after ${ms(n.begun.after_ms)}` : "not yet") },
              { name: "Without it again", num: true, cell: (n) => (n.over ? `generation ${number(n.over.generation)}, after ${ms(n.over.after_ms)}` : "not yet") },
            ], d.nodes, { key: (n) => n.node })),
          panel("Facts", {}, facts([
            ["By", d.owner], ["Asked on", d.node], d.driver && ["Driven by", d.driver],
            ["Planned", clock(d.planned)], ["Begun", clock(d.begun)], ["Over", clock(d.over)], ["Ends at the latest", clock(d.ends)],
            d.demand !== undefined && d.demand !== null && ["Demand", `${d.demand} %`], ["Most errors", `${d.max_errors} %`],
            ["Names", h("span", {}, d.names.join(", "), d.names_in_all > d.names.length && ` and ${plural(d.names_in_all - d.names.length, "more", "more")}`), true],
          ]))))),
  ];
}

// The fleet as this node sees it.

import { get, maybe } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { number, plural, span } from "../lib/format.js";
import { badge, facts, heading, link, notice, panel, path, table } from "../lib/parts.js";

export const title = () => "Nodes";
export const calm = 2000;

export async function load(r) {
  const o = { signal: r.abort.signal };
  const [fleet, monitors, ready] = await Promise.all([get("/v1/fleet", o), maybe("/v1/monitors", o), maybe("/readyz", o)]);
  return { fleet, monitors: monitors?.monitors ?? [], ready };
}

/** What the fleet calls the node that is asked. */
const OWN = "this node";

export function render(r, { fleet, monitors, ready }) {
  return [
    heading("Nodes", fleet.cluster ? `Fleet ${fleet.cluster}, as ${fleet.node} sees it.` : `${fleet.node} stands alone.`),
    h("div", { class: "stack" },
      fleet.differing.length > 0 && notice("warn", h("p", {}, h("strong", {}, "Not all nodes run the same configuration.")), h("ul", {}, fleet.differing.map((d) => h("li", {}, d)))),
      h("section", { class: "panel flush", "aria-label": "Nodes" },
        table("Nodes", [
          { name: "Node", cell: (m) => m.node },
          { name: "State", cell: (m) => h("span", { class: "chips" }, badge(m.state), m.blind && badge("blind", "blind: has no vote")) },
          { name: "Region", cell: (m) => link(path("regions", m.region), m.region) },
          { name: "Roles", cell: (m) => m.roles.join(", ") },
          { name: "Generation", num: true, cell: (m) => number(m.generation) },
          { name: "Votes on", num: true, cell: (m) => plural(m.votes, "check") },
          { name: "Heard", num: true, cell: (m) => (m.state === OWN ? "this node" : m.heard_seconds_ago === null ? "never" : `${span(m.heard_seconds_ago)} ago`) },
          { name: "Configuration", cell: (m) => m.config && h("code", { title: m.config }, m.config.slice(0, 12)) },
        ], fleet.members, { key: (m) => m.node })),
      fleet.refused.length > 0 && panel("Refused or not believed", { id: "refused" },
        table("Refused or not believed since the start", [
          { name: "What", cell: (x) => h("code", {}, x.what) },
          { name: "Count", num: true, cell: (x) => number(x.count) },
        ], fleet.refused)),
      monitors.length > 0 && h("section", { class: "panel flush", "aria-labelledby": "h-monitors" },
        h("div", { class: "panel-head" }, h("h2", { id: "h-monitors" }, "Monitors")),
        table("Monitors", [
          { name: "Monitor", cell: (m) => m.name },
          { name: "Kind", cell: (m) => m.kind },
          { name: "Every", num: true, cell: (m) => m.interval },
          { name: "Timeout", num: true, cell: (m) => m.timeout },
          { name: "Rise, fall", num: true, cell: (m) => `${m.rise}, ${m.fall}` },
          { name: "Detects within", num: true, cell: (m) => span(m.worst_case_detection_seconds) },
          { name: "Targets", num: true, cell: (m) => number(m.targets) },
          { name: "Probes a second", num: true, cell: (m) => m.probes_per_second.toFixed(1) },
          { name: "Up", num: true, cell: (m) => `${number(m.endpoints.up)} of ${number(m.endpoints.total)}` },
        ], monitors, { key: (m) => m.name })),
      ready && typeof ready === "object" && panel("Ready", {}, facts(Object.entries(ready).filter(([, v]) => typeof v !== "object").map(([k, v]) => [k, String(v)])))),
  ];
}

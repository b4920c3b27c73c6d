// One region: where it is, its pools, its endpoints, orders about it.

import { Problem, get, maybe } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { map } from "../lib/map.js";
import { badge, bar, facts, heading, link, panel, path, table } from "../lib/parts.js";
import { endpoints_table } from "./endpoints.js";
import { at, pager } from "../lib/paging.js";
import { capacity_of, pool_of, region_kind, region_word } from "./world.js";

export const title = (r) => `Region ${r.args.name}`;

export async function load(r) {
  const o = { signal: r.abort.signal };
  const [all, endpoints] = await Promise.all([get("/v1/regions", o), maybe("/v1/endpoints", { ...o, query: at(r, { region: r.args.name }) })]);
  const region = all.regions.find((x) => x.name === r.args.name);
  if (!region) throw new Problem(404, { title: "not found", detail: `There is no region ${r.args.name} in this configuration.` });
  return { region, endpoints };
}

/** How much of a pool serves. */
export function serving(pool) {
  const p = pool_of(pool);
  return bar(p.endpoints ? p.serving / p.endpoints : 0, `${p.serving} of ${p.endpoints}`, p.serving < Math.max(1, p.min_live) ? "bad" : p.serving < p.endpoints ? "warn" : "good");
}

export function render(r, { region, endpoints }) {
  return [
    heading(`Region ${region.name}`, null, badge(region_kind(region), region_word(region), region_kind(region)), link(`overrides?scope=region&name=${encodeURIComponent(region.name)}`, "Give an order"), link(`drills?what=region&name=${encodeURIComponent(region.name)}`, "Rehearse its failure")),
    h(
      "div",
      { class: "grid" },
      panel("Facts", {}, facts([
        ["Place", `${region.latitude}°, ${region.longitude}°`],
        ["Capacity that serves", region.capacity ? `${number(region.capacity.serving)} of ${number(region.capacity.whole)} (${region.capacity.percent} %)` : "not known"],
        ["Pools", number(region.pools.length)],
      ])),
      h("section", { class: "panel flush", key: "map", "aria-label": "Map" }, map(r, {
        title: `Map of ${region.name}`,
        text: `${region.name} at ${region.latitude} degrees north, ${region.longitude} degrees east: ${region_word(region)}.`,
        places: [{ name: region.name, at: [region.longitude, region.latitude], kind: region_kind(region), note: region_word(region), ring: capacity_of(region) }],
      })),
      h("section", { class: "panel flush wide", key: "pools", "aria-labelledby": "h-pools" },
        h("div", { class: "panel-head" }, h("h2", { id: "h-pools" }, "Pools")),
        table(`Pools of ${region.name}`, [
          { name: "Pool", cell: (p) => link(path("pools", p.name), p.name) },
          { name: "Serving", cell: serving },
          { name: "Needed", num: true, cell: (p) => number(p.min_live) },
        ], region.pools, { key: (p) => p.name, none: "No pool is in this region." })),
      endpoints && h("section", { class: "panel flush wide", key: "endpoints", "aria-labelledby": "h-endpoints" },
        h("div", { class: "panel-head" }, h("h2", { id: "h-endpoints" }, "Endpoints")),
        endpoints_table(endpoints.endpoints), pager(r, endpoints.next)),
    ),
  ];
}

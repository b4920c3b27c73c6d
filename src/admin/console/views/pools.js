// All pools.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { at, filters, pager } from "../lib/paging.js";
import { heading, link, path, table } from "../lib/parts.js";
import { serving } from "./region.js";

export const title = () => "Pools";

export async function load(r) {
  return get("/v1/pools", { query: at(r, { q: r.query.q, region: r.query.region }), signal: r.abort.signal });
}

export function render(r, data) {
  return [
    heading("Pools", "A pool is a group of endpoints in one region."),
    filters(r, [["Find", "q"]]),
    h("section", { class: "panel flush", "aria-label": "Pools" },
      table("Pools", [
        { name: "Pool", cell: (p) => link(path("pools", p.name), p.name) },
        { name: "Region", cell: (p) => link(path("regions", p.region), p.region) },
        { name: "Serving", cell: serving },
        { name: "Needed", num: true, cell: (p) => number(p.min_live) },
        { name: "Capacity", num: true, cell: (p) => (p.capacity ? `${p.capacity.percent} %` : "—") },
        { name: "Monitors", cell: (p) => p.monitors?.join(", ") || "none" },
      ], data.pools, { key: (p) => p.name, none: "No pool matches." }),
      pager(r, data.next)),
  ];
}

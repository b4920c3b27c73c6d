// Round-trip times: from each site to each region or pool.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { byName, ms, number, span } from "../lib/format.js";
import { badge, empty, field, heading, link, notice, paged, panel, path, table } from "../lib/parts.js";

export const title = () => "Latency";
/** All endpoints from all sites: not asked for at every change. */
export const calm = 10_000;

export async function load(r) {
  const o = { signal: r.abort.signal };
  const [latency, regions] = await Promise.all([all(o), get("/v1/regions", o)]);
  return { latency, regions: regions.regions };
}

/** Endpoints of a page. */
const PAGE = 1000;
/** Most pages: a median over fewer endpoints than there are says so. */
const PAGES = 20;

/** The times of all endpoints, page by page. */
async function all(o) {
  const whole = await get("/v1/latency", { ...o, query: { limit: PAGE } });
  const sites = whole.sites.map((s) => ({ ...s, endpoints: [...s.endpoints] }));
  let { next } = whole;
  for (let page = 1; next && page < PAGES; page += 1) {
    const more = await get("/v1/latency", { ...o, query: { limit: PAGE, after: next } });
    for (const s of more.sites) sites.find((x) => x.site === s.site)?.endpoints.push(...s.endpoints);
    ({ next } = more);
  }
  return { sites, cut: Boolean(next) };
}

const median = (list) => {
  if (!list.length) return null;
  const sorted = [...list].sort((a, b) => a - b);
  const mid = sorted.length >> 1;
  return sorted.length % 2 ? sorted[mid] : (sorted[mid - 1] + sorted[mid]) / 2;
};

/** Per target (pool or region) and site, the median of the endpoints. */
function matrix(latency, regions, by) {
  const region_of = new Map(regions.flatMap((x) => x.pools.map((p) => [p.name, x.name])));
  const rows = new Map();
  for (const site of latency.sites) {
    for (const e of site.endpoints) {
      // What was measured and does not steer is no part of this.
      const value = e.rtt_ms;
      if (value === null || value === undefined) continue;
      const target = by === "pool" ? e.pool : (region_of.get(e.pool) ?? "?");
      if (!rows.has(target)) rows.set(target, new Map());
      const cells = rows.get(target);
      if (!cells.has(site.site)) cells.set(site.site, { values: [], moving: 0 });
      cells.get(site.site).values.push(value);
      if (e.moving) cells.get(site.site).moving += 1;
    }
  }
  return [...rows].map(([target, cells]) => ({ target, cells })).sort((a, b) => byName(a.target, b.target));
}

export function render(r, { latency, regions }) {
  const by = r.query.by ?? "region";
  const rows = matrix(latency, regions, by);
  const page = paged(r, rows, 60);
  const most = Math.max(1, ...rows.flatMap((x) => [...x.cells.values()].map((c) => median(c.values))));
  const cell = (site) => (row) => {
    const c = row.cells.get(site.site);
    if (!c) return "—";
    const value = median(c.values);
    // Times of the same size should look alike: a root spreads the small ones.
    return h("span", { class: "heat", style: { "--heat": Math.sqrt(value / most).toFixed(2) }, title: `${number(c.values.length)} endpoints${c.moving ? `, ${c.moving} moving` : ""}` }, ms(value), c.moving ? " ~" : "");
  };
  return [
    heading("Latency", "Median of the round-trip times that steer, from where vantages stand to what they probe."),
    h("form", { class: "tools", onsubmit: (e) => e.preventDefault() },
      field("To each", "by", { kind: "select", options: ["region", "pool"], value: by, onchange: (e) => r.ask({ ...r.query, by: e.target.value }) })),
    latency.cut && notice("warn", h("p", {}, `The medians are of the first ${number(PAGE * PAGES)} endpoints.`)),
    h("section", { class: "panel flush", "aria-label": "Latency matrix" },
      rows.length
        ? table("Round-trip times, sites by targets", [
            { name: by === "pool" ? "Pool" : "Region", cell: (x) => link(path(by === "pool" ? "pools" : "regions", x.target), x.target) },
            ...latency.sites.map((s) => ({ name: s.site, head: `from ${s.site}`, cell: cell(s) })),
          ], page.rows, { key: (x) => x.target, kind: "matrix" })
        : empty("No time steers yet: a site steers by its times once it has measured for a while, and trusts what it sees."),
      page.bar),
    h("p", { class: "quiet" }, "A darker field is a longer way. ~ marks times that may change within a minute."),
    panel("Vantages", { id: "vantages" },
      table("Vantages", [
        { name: "Node", cell: (v) => v.node },
        { name: "Site", cell: (v) => v.site },
        { name: "Voice", cell: (v) => badge(v.voice) },
        { name: "Checks measured", num: true, cell: (v) => number(v.measured) },
        { name: "Heard", num: true, cell: (v) => (v.heard_seconds_ago === null ? "this node" : `${span(v.heard_seconds_ago)} ago`) },
      ], latency.sites.flatMap((s) => s.vantages.map((v) => ({ ...v, site: s.site }))), { key: (v) => v.node, none: "No vantage measures." })),
  ];
}

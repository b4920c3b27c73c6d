// What the map and the tables say of regions and of traffic between places.

import { number, percent, plural, short } from "../lib/format.js";

/** A pool's endpoints: those that serve, and all. */
export const pool_of = (p) =>
  typeof p.endpoints === "object" ? { ...p.endpoints, endpoints: p.endpoints.total, min_live: p.min_live } : p;

/** Endpoints that serve, and all, of a region. */
export function sums(region) {
  const pools = (region.pools ?? []).map(pool_of);
  return {
    serving: pools.reduce((n, p) => n + p.serving, 0),
    endpoints: pools.reduce((n, p) => n + p.endpoints, 0),
    passed: pools.filter((p) => p.serving < Math.max(1, p.min_live)).length,
    pools: pools.length,
    ordered: (region.endpoints?.drained ?? 0) + (region.endpoints?.disabled ?? 0),
  };
}

/** `good`, `warn`, `bad` or `idle`. */
export function region_kind(region) {
  const { serving, endpoints, passed, pools, ordered } = sums(region);
  if (!pools || !endpoints) return "idle";
  // What an operator took out is as wanted.
  if (ordered === endpoints) return "warn";
  if (passed === pools) return "bad";
  if (passed || serving < endpoints) return "warn";
  return "good";
}

/** Health in words. */
export function region_word(region) {
  const { serving, endpoints, passed, pools, ordered } = sums(region);
  if (!pools || !endpoints) return "no endpoints";
  if (ordered === endpoints) return region.endpoints.disabled === endpoints ? "disabled" : "drained";
  if (passed === pools) return `out, ${serving} of ${endpoints} serve`;
  if (serving < endpoints) return `${serving} of ${endpoints} serve`;
  return `all ${endpoints} serve`;
}

/** `good`, `warn`, `bad` or `idle`, of a change of an endpoint's verdict: one not probed yet is not down. */
export function change_kind(x) {
  if (!x.healthy) return x.state === "awaited" ? "idle" : "bad";
  return x.stale || x.held ? "warn" : "good";
}

/** How much of the capacity serves, 0 to 1; of a place without endpoints there is nothing to say. */
export const capacity_of = (x) => (x.capacity?.whole > 0 ? x.capacity.percent / 100 : null);

/** Most arcs on a map: more of them hide it. */
const ARCS = 60;

/** Most flows that are asked for: as many as the API gives. */
export const FLOWS = 10_000;

/** Flows as arcs, points and rows. */
export function flows_on(flows, regions) {
  const at = new Map(regions.map((x) => [x.name, [x.longitude, x.latitude]]));
  const total = flows.reduce((n, f) => n + f.queries, 0);
  const pairs = new Map();
  const rows = new Map();
  for (const f of flows) {
    const place = f.country ?? "no known place";
    const row = rows.get(`${place} ${f.region}`) ?? { place, region: f.region ?? "none", queries: 0 };
    row.queries += f.queries;
    rows.set(`${place} ${f.region}`, row);
    if (f.latitude === null || f.latitude === undefined || !at.has(f.region)) continue;
    // Places within two degrees are one on the map.
    const from = [Math.round(f.longitude / 2) * 2, Math.round(f.latitude / 2) * 2];
    const id = `${from} ${f.region}`;
    const pair = pairs.get(id) ?? { from, to: at.get(f.region), queries: 0, place, region: f.region };
    pair.queries += f.queries;
    pairs.set(id, pair);
  }
  const arcs = [...pairs.values()].sort((a, b) => b.queries - a.queries).slice(0, ARCS);
  const most = arcs[0]?.queries ?? 1;
  return {
    total,
    arcs: arcs.map((a) => ({ from: a.from, to: a.to, weight: a.queries / most, note: `${a.place} to ${a.region}: ${percent(a.queries / total, 1)} of queries` })),
    points: arcs.map((a) => ({ at: a.from, r: 2 + 4 * Math.sqrt(a.queries / most), note: `${a.place}: ${short(a.queries)} queries` })),
    table: [...rows.values()].sort((a, b) => b.queries - a.queries),
    text: total ? `${short(total)} queries from ${plural(new Set([...rows.values()].map((x) => x.place)).size, "country", "countries")} in the last hour, by samples${flows.length < FLOWS ? "" : `; the ${number(FLOWS)} largest flows`}.` : "No queries sampled in the last hour.",
  };
}

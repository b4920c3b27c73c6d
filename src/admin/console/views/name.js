// One name: its policy, its pools in tiers as they stand now, how fast it fails over.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { number, span } from "../lib/format.js";
import { badge, bar, facts, figures, heading, link, panel, path, table } from "../lib/parts.js";
import { ttl } from "./names.js";
import { pool_of } from "./world.js";

export const title = (r) => r.args.name;

export async function load(r) {
  return get(`/v1/${path("names", r.args.name)}`, { signal: r.abort.signal });
}

/** Plans shown one by one. */
const SHOWN = 24;

const pool_link = (p) => link(path("pools", p), p);

const pool_badge = (m) => {
  const p = pool_of(m);
  const none = p.serving === 0;
  return badge(none ? "down" : p.serving < p.endpoints ? "degraded" : "up", `${p.serving} of ${p.endpoints}`, none ? "bad" : p.serving < p.endpoints ? "warn" : "good");
};

/** The order of the pools for the clients of one plan; the tier that answers is marked. */
function tiers(plan, members) {
  const answering = new Set(plan.offers.flatMap((o) => o.endpoints.map((e) => e.pool)));
  const known = new Map(members.map((m) => [m.pool, m]));
  return h("ol", { class: "tiers" }, plan.tiers.map((pools, i) => {
    const live = pools.some((p) => answering.has(p));
    return h("li", { class: `tier${live ? " live" : ""}`, key: i },
      h("span", { class: "tier-name" }, `Tier ${i + 1}`, live && h("span", {}, ", answers")),
      h("span", { class: "members" }, pools.map((p) => h("span", { class: "member", key: p }, pool_link(p), known.has(p) && pool_badge(known.get(p))))));
  }));
}

/** What a plan answers now. */
function offers(plan) {
  const list = plan.offers.flatMap((o) => o.endpoints.map((e) => ({ ...e, share: e.share_percent, type: o.type, standing: o.standing, ttl: o.ttl })));
  const other = plan.offers.filter((o) => o.otherwise);
  return [
    list.length > 0 && table("Answered now", [
      { name: "Endpoint", cell: (e) => link(path("endpoints", e.endpoint), e.endpoint) },
      { name: "Type", cell: (e) => e.type },
      { name: "Chance", cell: (e) => bar(e.share / 100, `${e.share.toFixed(1)} %`) },
      { name: "Standing", cell: (e) => badge(e.standing) },
      { name: "TTL", num: true, cell: (e) => `${e.ttl} s` },
    ], list, { key: (e) => `${e.type} ${e.endpoint}`, tight: true }),
    other.map((o) => h("p", {}, badge(o.standing), ` ${o.type}: ${o.otherwise}`)),
  ];
}

/** Where the clients of a plan are, by one of them. */
function whose(plan) {
  const { continent, country, subdivision, asn } = plan.place ?? {};
  const words = [country, subdivision].filter(Boolean).join("-") || continent;
  return words || asn ? `Clients like those in ${[words, asn && `AS${asn}`].filter(Boolean).join(", ")}` : "Clients of no known place";
}

export function render(r, n) {
  const f = n.failover;
  const plans = n.by_plan ?? [];
  return [
    heading(n.name, n.aliases?.length ? `Also ${n.aliases.join(", ")}` : null,
      n.standing && badge(n.standing),
      link(`explain?name=${encodeURIComponent(n.name)}`, "Explain an answer"),
      link(`overrides?scope=name&name=${encodeURIComponent(n.name)}`, "Give an order"),
      link(n.members?.length ? `drills?what=pool&name=${encodeURIComponent(n.members[0].pool)}` : "drills", "Rehearse a failure")),
    h("div", { class: "stack" },
      figures([
        f && ["Worst-case failover", span(f.worst_case_seconds)],
        f && ["of it detection", span(f.detection_seconds)],
        f && ["publication", span(f.publish_seconds)],
        f && ["caches (TTL)", `${f.ttl_seconds} s`],
        ["TTL", ttl(n)],
        ["Plans by client network", number(n.plans)],
      ]),
      h("div", { class: "grid" },
        panel("Policy", { note: n.policy },
          h("ol", { class: "steps" }, (n.stages ?? []).map((x) => h("li", {}, h("strong", {}, x.stage), x.says && h("span", { class: "quiet" }, ` ${x.says}`)))),
          facts([
            ["Types", n.types.join(", ")], ["Addresses answered at most", number(n.answers)], ["ECS partitions", number(n.ecs_partitions)],
            ["Last resort", n.last_resort], n.orders?.length > 0 && ["Orders", n.orders.join("; ")],
          ])),
        h("section", { class: "panel flush", "aria-labelledby": "h-members" },
          h("div", { class: "panel-head" }, h("h2", { id: "h-members" }, "Pools")),
          table("Pools of the name", [
            { name: "Pool", cell: (p) => pool_link(p.pool) },
            { name: "Region", cell: (p) => link(path("regions", p.region), p.region) },
            { name: "Serving", cell: pool_badge },
            { name: "Capacity", num: true, cell: (p) => `${p.capacity.percent} %` },
            { name: "Weight", num: true, cell: (p) => number(p.weight) },
            { name: "Priority", num: true, cell: (p) => (p.backup ? "backup" : number(p.priority)) },
          ], n.members ?? [], { key: (p) => p.pool }))),
      h("h2", {}, "As it stands, by place of the client"),
      h("div", { class: "grid" }, plans.slice(0, SHOWN).map((plan) =>
        panel(whose(plan), { id: `plan-${plan.plan}`, note: `plan ${plan.plan}`, level: 3 }, h("div", { class: "stack" }, tiers(plan, n.members), offers(plan))))),
      n.plans > SHOWN && h("p", { class: "quiet" }, `${number(n.plans - SHOWN)} further plans are not shown; ask for one client under Explain.`)),
  ];
}

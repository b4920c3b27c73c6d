// One name: its policy, its pools in tiers as they stand now, how fast it fails over.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { number, span } from "../lib/format.js";
import { badge, bar, empty, facts, figures, heading, link, panel, path, table } from "../lib/parts.js";
import { ttl } from "./names.js";

export const title = (r) => r.args.name;

export async function load(r) {
  return get(`/v1/${path("names", r.args.name)}`, { signal: r.abort.signal });
}

const pool_link = (p) => link(path("pools", p), p);

/** The order of the pools for the clients of one plan. */
function tiers(plan) {
  const live = (plan.tiers ?? []).findIndex((t) => t.answers ?? t.live);
  return h("ol", { class: "tiers" }, (plan.tiers ?? []).map((t, i) => {
    const pools = t.pools ?? t;
    const answers = i === live;
    return h("li", { class: `tier${answers ? " live" : ""}`, key: i },
      h("span", { class: "tier-name" }, `Tier ${i + 1}`, answers && h("span", {}, ", answers")),
      h("span", { class: "members" }, pools.map((p) => {
        const name = p.pool ?? p;
        const low = p.serving !== undefined && p.serving < Math.max(1, p.min_live ?? 1);
        return h("span", { class: "member", key: name }, pool_link(name),
          p.serving !== undefined && badge(low ? "down" : p.serving < p.endpoints ? "degraded" : "up", `${p.serving} of ${p.endpoints}`, low ? "bad" : p.serving < p.endpoints ? "warn" : "good"));
      })));
  }));
}

/** What a plan answers now. */
function offers(plan) {
  const list = (plan.offers ?? []).flatMap((o) => (o.endpoints ?? []).map((e) => ({ ...e, type: o.type, standing: o.standing, ttl: o.ttl })));
  return list.length > 0 && table("Answered now", [
    { name: "Endpoint", cell: (e) => link(path("endpoints", e.endpoint), e.endpoint) },
    { name: "Type", cell: (e) => e.type },
    { name: "Chance", cell: (e) => bar((e.share_percent ?? e.chance * 100) / 100, `${(e.share_percent ?? e.chance * 100).toFixed(1)} %`) },
    { name: "TTL", num: true, cell: (e) => `${e.ttl} s` },
  ], list, { key: (e) => `${e.type} ${e.endpoint}`, tight: true });
}

export function render(r, n) {
  const f = n.failover;
  const plans = Array.isArray(n.plans) ? n.plans : (n.offers ?? []);
  const many = typeof n.plans === "number" ? n.plans : plans.length;
  const stages = n.stages ?? [];
  return [
    heading(n.name, n.aliases?.length ? `Also ${n.aliases.join(", ")}` : null,
      n.standing && badge(n.standing),
      link(`explain?name=${encodeURIComponent(n.name)}`, "Explain an answer"),
      link(`overrides?scope=name&name=${encodeURIComponent(n.name)}`, "Give an order"),
      link(`drills?what=name&name=${encodeURIComponent(n.name)}`, "Rehearse a failure")),
    h("div", { class: "stack" },
      figures([
        f && ["Worst-case failover", span(f.worst_case_seconds)],
        f && ["of it detection", span(f.detection_seconds)],
        f && ["publication", span(f.publish_seconds)],
        f && ["caches (TTL)", `${f.ttl_seconds} s`],
        ["TTL", ttl(n)],
        ["Plans by client network", number(many)],
      ]),
      h("div", { class: "grid" },
        panel("Policy", { note: n.policy },
          stages.length
            ? h("ol", { class: "steps" }, stages.map((x) => h("li", {}, h("strong", {}, x.stage ?? x.kind ?? x), x.text && h("span", { class: "quiet" }, ` ${x.text}`))))
            : null,
          facts([["Types", n.types.join(", ")], ["Addresses answered at most", number(n.answers)], n.ecs_partitions !== undefined && ["ECS partitions", number(n.ecs_partitions)]])),
        h("section", { class: "panel flush", "aria-labelledby": "h-members" },
          h("div", { class: "panel-head" }, h("h2", { id: "h-members" }, "Pools")),
          table("Pools of the name", [
            { name: "Pool", cell: (p) => pool_link(p.pool) },
            { name: "Region", cell: (p) => link(path("regions", p.region), p.region) },
            { name: "Serving", cell: (p) => (p.serving === undefined ? null : badge(p.serving ? "up" : "down", `${p.serving} of ${p.endpoints}`, !p.serving ? "bad" : p.serving < p.endpoints ? "warn" : "good")) },
            { name: "Weight", num: true, cell: (p) => number(p.weight) },
            { name: "Priority", num: true, cell: (p) => (p.backup ? "backup" : number(p.priority)) },
          ], n.pools, { key: (p) => p.pool }))),
      plans.length
        ? plans.slice(0, 30).map((plan, i) =>
            panel(plan.title ?? `Plan ${plan.plan ?? i + 1}`, { id: `plan-${i}`, note: plan.networks !== undefined ? `${number(plan.networks)} client networks${plan.example ? `, such as ${plan.example}` : ""}` : plan.text }, h("div", { class: "stack" }, tiers(plan), offers(plan))))
        : empty("How the tiers stand is not known here."),
      plans.length > 30 && h("p", { class: "quiet" }, `${plans.length - 30} further plans are not shown; ask for one client under Explain.`)),
  ];
}

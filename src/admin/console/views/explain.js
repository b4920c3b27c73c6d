// Why a client gets the answer it gets: from the function that answers.

import { get, maybe } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { legend, map } from "../lib/map.js";
import { ms } from "../lib/format.js";
import { badge, bar, empty, facts, field, heading, link, loading, notice, panel, path, table, trouble, values } from "../lib/parts.js";
import { region_kind } from "./world.js";
import { whom } from "./drills.js";

export const title = () => "Explain";
/** An explanation is of one moment; another one is asked for. */
export const still = true;

export async function load(r) {
  const o = { signal: r.abort.signal };
  const [regions, names] = await Promise.all([get("/v1/regions", o), maybe("/v1/names", { ...o, query: { limit: 200 } })]);
  const data = { regions: regions.regions, names: (names?.names ?? []).map((n) => n.name), explanation: null, error: null };
  if (r.query.name && r.query.client) {
    const { name, type, client, at, resolver } = r.query;
    try {
      data.explanation = await get("/v1/explain", { ...o, query: { name, type, client, at, resolver } });
    } catch (error) {
      data.error = error;
    }
  }
  return data;
}

function form(r, data) {
  const wrong = data.error?.parameter;
  const of = (p) => (wrong === p ? data.error.message : null);
  const ask = (event) => {
    event.preventDefault();
    r.state.asked = true;
    r.ask(values(event.currentTarget)).then(() => {
      document.getElementById("answer")?.focus();
    });
  };
  return panel("Question", {},
    h("form", { class: "form", role: "search", onsubmit: ask },
      field("Name", "name", { required: true, value: r.query.name ?? data.names[0] ?? "", list: data.names, spellcheck: "false", error: of("name") }),
      field("Type", "type", { kind: "select", options: ["A", "AAAA", "HTTPS", "CNAME"], value: r.query.type ?? "A", error: of("type") }),
      field("Client", "client", { required: true, value: r.query.client ?? "", placeholder: "192.0.2.0/24", hint: "A network stands for an ECS option, an address for the resolver itself.", spellcheck: "false", error: of("client") }),
      field("At", "at", { value: r.query.at ?? "", placeholder: "now", hint: "Empty: now. Else a time such as 2026-01-31T12:00:00Z, replayed from the record.", error: of("at") }),
      h("div", { class: "actions" }, h("button", { class: "main-action", type: "submit" }, "Explain"))));
}

/** Regions of the members, with what became of them: chosen, eliminated, or a candidate. */
function roles(e) {
  const fate = new Map();
  for (const c of e.candidates ?? []) {
    const before = fate.get(c.region);
    const word = c.chosen ? "chosen" : c.share_percent > 0 ? "candidate" : "eliminated";
    const rank = { chosen: 3, candidate: 2, eliminated: 1 };
    if (!before || rank[word] > rank[before]) fate.set(c.region, word);
  }
  for (const a of e.answer) fate.set(a.region, "chosen");
  return fate;
}

function world(r, e, regions) {
  const known = roles(e);
  const c = e.client;
  const here = c.latitude !== null && c.longitude !== null ? [c.longitude, c.latitude] : null;
  const places = regions.map((x) => {
    const role = known.get(x.name) ?? "";
    return { name: x.name, at: [x.longitude, x.latitude], kind: region_kind(x), note: role, mark: role === "chosen" ? "chosen" : role === "candidate" ? "" : "gone", size: role === "chosen" ? 10 : 7 };
  });
  const chosen = regions.filter((x) => known.get(x.name) === "chosen");
  const arcs = here ? places.filter((p) => p.note).map((p) => ({ from: here, to: p.at, weight: p.note === "chosen" ? 0.35 : 0.02, kind: p.note === "chosen" ? "in" : "out", note: p.note })) : [];
  const where = here ? `The client is at ${c.latitude.toFixed(1)} degrees north, ${c.longitude.toFixed(1)} degrees east.` : "Where the client is, is not known.";
  return map(r, {
    title: "Map of the decision",
    text: `${where} Chosen: ${chosen.map((x) => x.name).join(", ") || "none"}. ${places.filter((p) => p.note).map((p) => `${p.name}: ${p.note}`).join("; ")}.`,
    places,
    arcs,
    points: here ? [{ at: here, r: 5, kind: "client", note: `client ${c.network}` }] : [],
  });
}

/** What somebody gets: addresses' endpoints, or words. */
const got = (x) => (x.answer?.length ? x.answer.map((a) => a.endpoint).join(", ") : (x.otherwise ?? "no endpoint"));

const BY = { plan: "another plan next door", hash: "the client is hashed by as many bits", drill: "a drill answers its canary otherwise", nothing: "all clients are alike" };

function neighbours(e) {
  const b = e.neighbours;
  const rows = [["Below", b.below], ["Above", b.above]].filter(([, n]) => n);
  return panel("Scope", { id: "scope", note: `/${e.scope}: ${b.network} gets plan ${b.plan}` },
    h("p", { class: "quiet" }, `What keeps it from being shorter: ${BY[b.by] ?? b.by}.`, b.parent && ` ${b.parent} holds somebody who is decided otherwise.`),
    rows.length > 0 && table("The neighbouring networks with another plan", [
      { name: "Side", cell: ([side]) => side },
      { name: "Network", cell: ([, n]) => h("code", {}, n.network) },
      { name: "Order of its pools", wrap: true, cell: ([, n]) => n.order.map((t) => t.join(" = ")).join(" > ") },
      { name: "Would get", cell: ([, n]) => got(n) },
      { name: "Bounds", cell: ([, n]) => (n.bounds ? "yes" : "no") },
    ], rows, { key: ([side]) => side, tight: true }));
}

/** The policy, stage by stage. */
function stages(e) {
  return panel("Stages", { id: "stages", note: e.policy }, h("ol", { class: "steps" }, e.stages.map((x) =>
    h("li", {}, h("strong", {}, x.stage), x.by && h("span", { class: "quiet" }, ` ${x.by}`),
      h("ol", { class: "tiers" }, x.tiers.map((tier, i) =>
        h("li", { class: "tier" }, h("span", { class: "tier-name" }, `Tier ${i + 1}`), h("span", { class: "members" }, tier.map((m) =>
          h("span", { class: "member" }, link(path("pools", m.pool), m.pool), m.key && h("span", { class: "quiet" }, m.key))))))),
      x.fenced.length > 0 && h("p", { class: "quiet" }, `Fenced out: ${x.fenced.join(", ")}`)))));
}

function candidates(e) {
  const list = e.candidates.slice(0, 100);
  return h("section", { class: "panel flush wide", key: "candidates", "aria-labelledby": "h-candidates" },
    h("div", { class: "panel-head" }, h("h2", { id: "h-candidates" }, "Candidates"), h("p", { class: "quiet" }, e.candidates_in_all > list.length ? `${list.length} of ${e.candidates_in_all}` : null)),
    table("Candidates", [
      { name: "Endpoint", cell: (x) => link(path("endpoints", x.endpoint), x.endpoint) },
      { name: "Answered", cell: (x) => (x.chosen ? badge("ok", "chosen") : "no") },
      { name: "Chance", cell: (x) => bar(x.share_percent / 100, `${x.share_percent.toFixed(1)} %`) },
      { name: "State", cell: (x) => h("span", { class: "chips" }, badge(x.enabled ? x.state : "disabled"), x.ordered && badge(x.ordered)) },
      { name: "Tier", num: true, cell: (x) => x.tier ?? "fenced out" },
      { name: "Pool, region", cell: (x) => `${x.pool}, ${x.region}` },
      { name: "Weight", num: true, cell: (x) => `${x.weight} in ${x.pool_weight}` },
      { name: "RTT", num: true, cell: (x) => (x.rtt_ms === null ? "—" : `${ms(x.rtt_ms)}${x.rtt_from ? ` from ${x.rtt_from}` : ""}`) },
      { name: "Votes", cell: (x) => (x.votes ? `${x.votes.down} of ${x.votes.voting} say down` : "—") },
    ], list, { key: (x) => x.endpoint }));
}

function answer(r, e, regions) {
  const c = e.client;
  const place = [c.country, c.subdivision, c.continent].filter(Boolean).join(", ");
  const text = [...e.lines, ...(e.further_lines ?? [])];
  return h("div", { class: "grid", key: "answer" },
    h("div", { class: "wide stack" },
      h("h2", { id: "answer", tabindex: "-1" }, e.answer.length ? `${e.name} ${e.type}: ${e.answer.map((a) => a.address).join(", ")}` : `${e.name} ${e.type}: ${e.otherwise ?? "no endpoint"}`),
      h("div", { class: "chips" }, badge(e.standing), e.overridden && badge("weight", "an override takes part", "warn"), h("span", { class: "chip" }, `TTL ${e.ttl} s`), h("span", { class: "chip" }, `scope /${e.scope}`), h("span", { class: "chip" }, `generation ${e.generation}`), e.based_on && h("span", { class: "chip" }, `as of ${e.based_on.at}, event ${e.based_on.event}`))),
    e.based_on?.missing?.length > 0 && notice("warn", h("p", {}, "The record does not have all of that moment."), h("ul", {}, e.based_on.missing.map((m) => h("li", {}, m)))),
    h("section", { class: "panel flush two-thirds", key: "map", "aria-label": "Map" }, world(r, e, regions), legend([["good", "healthy"], ["warn", "weakened or drained"], ["bad", "out"], ["idle", "no endpoints"]], [["client", "the client"], ["in", "chosen"], ["out", "not chosen"]])),
    h("div", { class: "third stack", key: "who" },
      panel("Client", {}, facts([
        ["Address", h("code", {}, c.address)], ["Decided by", c.why], ["Network", h("code", {}, c.network)],
        ["Place", place || "not known"], c.asn && ["AS", String(c.asn)], c.sources.length > 0 && ["Known from", c.sources.join(", ")],
      ])),
      panel("Answered", { id: "answered" },
        e.answer.length
          ? table("Answered endpoints", [
              { name: "Endpoint", cell: (a) => link(path("endpoints", a.endpoint), a.endpoint) },
              { name: "Region", cell: (a) => link(path("regions", a.region), a.region) },
              { name: "Address", cell: (a) => h("code", {}, a.address) },
            ], e.answer, { key: (a) => a.endpoint })
          : empty(e.otherwise ?? "No endpoint is answered."))),
    h("div", { class: "stack", key: "way" },
      panel("Steps", { id: "steps" }, h("ol", { class: "steps" }, e.steps.map((step) => h("li", {}, step)))),
      e.ttl_derivation && panel("TTL", { id: "ttl", note: `${e.ttl_derivation.min} s to ${e.ttl_derivation.max} s` }, h("p", {}, e.ttl_derivation.text))),
    h("div", { class: "stack", key: "else" },
      e.counterfactuals && panel("What would change it", { id: "counterfactuals", note: e.counterfactuals_complete ? null : "Not all were looked for: the name is large" },
        e.counterfactuals.length ? h("ul", { class: "plain-list" }, e.counterfactuals.map((x) => h("li", {}, x.text))) : h("p", { class: "quiet" }, "Nothing that one change could do.")),
      e.neighbours && neighbours(e),
      e.overrides?.length > 0 && panel("Overrides in force", { id: "orders" }, h("ul", { class: "plain-list" }, e.overrides.map((o) => h("li", {}, badge(o.kind), ` ${o.scope} ${o.name}, by ${o.owner}: ${o.reason}`, o.drill && h("span", {}, " (", link(path("drills", o.drill.id), `drill ${o.drill.id}`), `, for ${whom(o.drill)})`)))))),
    e.candidates && candidates(e),
    e.eliminations?.length > 0 && h("section", { class: "panel flush", key: "eliminated", "aria-labelledby": "h-eliminated" },
      h("div", { class: "panel-head" }, h("h2", { id: "h-eliminated" }, "Eliminated")),
      table("Eliminated, with the rule", [
        { name: "What", cell: (x) => (x.endpoint ? link(path("endpoints", x.endpoint), x.endpoint) : h("span", {}, "pool ", link(path("pools", x.pool), x.pool))) },
        { name: "Rule", cell: (x) => x.rule },
        { name: "Why", wrap: true, cell: (x) => x.why },
      ], e.eliminations)),
    e.stages?.length > 0 && stages(e),
    h("details", { class: "panel wide" }, h("summary", {}, "As text"), h("pre", { tabindex: "0", role: "group", "aria-label": "Explanation as text" }, text.join("\n"))));
}

export function render(r, data) {
  return [
    heading("Explain", "Why a client gets the answer it gets, from the function that answers."),
    h("div", { class: "stack" },
      form(r, data),
      data.error && trouble(data.error),
      data.explanation ? answer(r, data.explanation, data.regions) : r.busy && r.state.asked ? loading() : null),
  ];
}

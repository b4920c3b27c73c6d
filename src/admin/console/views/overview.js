// All at a glance: what is wrong now, the world, the regions, what happened last.

import { get, maybe } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { number, percent, plural, short } from "../lib/format.js";
import { legend, map } from "../lib/map.js";
import { badge, empty, figures, heading, link, panel, path, table } from "../lib/parts.js";
import { running } from "./drills.js";
import { events_list } from "./events.js";
import { FLOWS, capacity_of, flows_on, region_kind, region_word } from "./world.js";

export const title = () => "Overview";

/** Events shown here. */
const LATEST = 7;

export async function load(r) {
  const o = { signal: r.abort.signal };
  const [status, regions, flows, events, down, drills] = await Promise.all([
    maybe("/v1/status", o),
    get("/v1/regions", o),
    maybe("/v1/flows", { ...o, query: { window: "1h", limit: FLOWS } }),
    maybe("/v1/events", { ...o, query: { limit: LATEST } }),
    maybe("/v1/endpoints", { ...o, query: { state: "down", limit: 20 } }),
    maybe("/v1/drills", o),
  ]);
  return { status, regions: regions.regions, flows: flows ?? [], events: events?.events ?? [], down: down?.endpoints ?? [], drills: (drills?.drills ?? []).filter(running) };
}

/** What a person should look at, worst first: `[kind, text, way]`. */
function wrongs({ status, regions, down }) {
  const list = [];
  const names = status?.names ?? {};
  // The node's own list has the worst first: names at the last resort, degraded and held, a line each.
  const standings = ["last-resort", "degraded", "held"].filter((s) => names[s] > 0);
  (status?.warnings ?? []).forEach((text, i) => {
    const standing = standings[i];
    const kind = standing && standing !== "held" ? "bad" : "warn";
    list.push([kind, `${text}.`, standing && link(`names?standing=${standing}`, "Names")]);
  });
  for (const region of regions) {
    const kind = region_kind(region);
    if (kind === "bad") list.push(["bad", `Region ${region.name}: ${region_word(region)}; no pool of it has enough.`, link(path("regions", region.name), "Region")]);
    else if (kind === "warn") list.push(["warn", `Region ${region.name}: ${region_word(region)}.`, link(path("regions", region.name), "Region")]);
  }
  for (const e of down.slice(0, 8)) {
    list.push(["bad", `Endpoint ${e.name} is down${e.cause ? `: ${e.cause}` : ""}.`, link(path("endpoints", e.name), "Endpoint")]);
  }
  const total = status?.endpoints?.down ?? down.length;
  if (total > 8) list.push(["bad", `${plural(total - 8, "further endpoint")} down.`, link("endpoints?state=down", "Endpoints")]);
  // Failures before warnings; the order within each stays.
  return list.sort(([a], [b]) => (a === "bad" ? 0 : 1) - (b === "bad" ? 0 : 1));
}

function wrong(data) {
  const list = wrongs(data);
  const orders = (data.status?.overrides ?? 0) - (data.status?.drill_orders ?? 0);
  const drills = data.drills.length;
  const told = [
    orders > 0 && h("li", {}, badge("weight", "in force"), h("span", {}, `${plural(orders, "override")} by an operator. `, link("overrides", "Overrides"))),
    drills > 0 && h("li", {}, badge("running", "drill"), h("span", {}, `${plural(drills, "drill")} under way. `, link("drills", "Drills"))),
  ];
  if (!data.status && !list.length) {
    return panel("What is wrong is not known", { wide: true, id: "wrong-now" }, h("p", { class: "quiet" }, "The node does not say how it stands."));
  }
  return panel(
    list.length ? "Wrong now" : "Nothing is wrong",
    { wide: true, id: "wrong-now" },
    list.length || orders || drills
      ? h(
          "ul",
          { class: "plain-list wrong" },
          list.map(([kind, text, way]) => h("li", { key: text }, badge(kind, kind === "bad" ? "failure" : "warning", kind), h("span", {}, text, " ", way))),
          told,
        )
      : h("p", { class: "quiet" }, "Every name answers from its first choice, every endpoint that is probed is up."),
  );
}

function places(regions) {
  return regions.map((x) => ({
    name: x.name,
    at: [x.longitude, x.latitude],
    kind: region_kind(x),
    note: region_word(x),
    ring: capacity_of(x),
    size: 9,
    title: `${x.name}: ${region_word(x)}`,
  }));
}

export function render(r, data) {
  const { status, regions, flows } = data;
  const e = status?.endpoints;
  const { arcs, points, total, text } = flows_on(flows, regions);
  const flowing = flows.missing ? `${text} Not among them: what came to ${flows.missing.join(", ")}, which did not answer.` : text;
  const words = `${plural(regions.length, "region")}. ${regions.map((x) => `${x.name}: ${region_word(x)}`).join("; ")}. ${flowing} The tables on this page say the same.`;
  return [
    heading("Overview", null),
    h(
      "div",
      { class: "grid" },
      wrong(data),
      status &&
        h(
          "div",
          { class: "wide", key: "figures" },
          figures([
            ["Names", number(status.names?.total), null, "names"],
            ["Answer normally", number(status.names?.normal), status.names?.normal === status.names?.total ? "good" : "warn", "names"],
            ["Endpoints up", e && `${number(e.up)} of ${number(e.total)}`, e?.down ? "bad" : null, "endpoints"],
            ["Drained or disabled", e && number((e.drained ?? 0) + (e.disabled ?? 0)), null, "overrides"],
            ["Overrides", number(status.overrides), status.overrides ? "warn" : null, "overrides"],
            total > 0 && ["Queries, last hour", short(total)],
          ]),
        ),
      h(
        "div",
        { class: "two-thirds stack", key: "world" },
        h(
          "section",
          { class: "panel flush", key: "map", "aria-labelledby": "world" },
          h("div", { class: "panel-head" }, h("h2", { id: "world" }, "World"), h("p", { class: "quiet" }, flowing)),
          map(r, { title: "World map of the regions", text: words, places: places(regions), arcs, points }),
          legend(
            [["good", "healthy"], ["warn", "weakened or drained"], ["bad", "out"], ["idle", "no endpoints"]],
            [["ring", "capacity that serves"], ...(total > 0 ? [["point", "clients"], ["flow", "answered with that region; thicker is more"]] : [])],
          ),
        ),
        total > 0 &&
          h(
            "section",
            { class: "panel flush", key: "flows", "aria-labelledby": "flows" },
            h("div", { class: "panel-head" }, h("h2", { id: "flows" }, "Query flows"), h("p", { class: "quiet" }, "Sampled, by client country and region answered")),
            table(
              "Query flows from client places to regions",
              [
                { name: "From", cell: (f) => f.place },
                { name: "To", cell: (f) => f.region },
                { name: "Queries", num: true, cell: (f) => short(f.queries) },
                { name: "Share", num: true, cell: (f) => percent(f.queries / total, 1) },
              ],
              flows_on(flows, regions).table.slice(0, 12),
              { key: (f) => `${f.place} ${f.region}`, keeps: true },
            ),
          ),
      ),
      h(
        "div",
        { class: "third stack", key: "side" },
        h(
          "section",
          { class: "panel flush", key: "regions", "aria-labelledby": "regions" },
          h("div", { class: "panel-head" }, h("h2", { id: "regions" }, "Regions")),
          table(
            "Regions, their health and load",
            [
              { name: "Region", cell: (x) => link(path("regions", x.name), x.name) },
              { name: "Health", cell: (x) => badge(region_kind(x), region_word(x), region_kind(x)) },
              { name: "Capacity", num: true, cell: (x) => percent(capacity_of(x)) },
              total > 0 && { name: "Queries", num: true, cell: (x) => percent((flows.filter((f) => f.region === x.name).reduce((n, f) => n + f.queries, 0)) / total) },
            ].filter(Boolean),
            regions,
            { key: (x) => x.name, tight: true, none: "The configuration has no regions." },
          ),
        ),
        h(
          "section",
          { class: "panel flush", key: "events", "aria-labelledby": "latest" },
          h("div", { class: "panel-head" }, h("h2", { id: "latest" }, "Latest events"), h("div", { class: "actions" }, link("events", "All events"))),
          data.events.length ? events_list(data.events.slice(0, LATEST), { compact: true }) : empty("Nothing happened yet."),
        ),
      ),
    ),
  ];
}

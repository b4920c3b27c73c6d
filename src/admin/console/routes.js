// Which address shows which view.

import { empty, heading, link } from "./lib/parts.js";
import * as audit from "./views/audit.js";
import * as config from "./views/config.js";
import * as drill from "./views/drill.js";
import * as drills from "./views/drills.js";
import * as endpoint from "./views/endpoint.js";
import * as endpoints from "./views/endpoints.js";
import * as events from "./views/events.js";
import * as expectations from "./views/expectations.js";
import * as explain from "./views/explain.js";
import * as latency from "./views/latency.js";
import * as name from "./views/name.js";
import * as names from "./views/names.js";
import * as nodes from "./views/nodes.js";
import * as overrides from "./views/overrides.js";
import * as overview from "./views/overview.js";
import * as plan from "./views/plan.js";
import * as pool from "./views/pool.js";
import * as pools from "./views/pools.js";
import * as proxy from "./views/proxy.js";
import * as region from "./views/region.js";
import * as votes from "./views/votes.js";

/** What the menu has: address and text, by what one comes for. */
export const GROUPS = [
  ["See", [
    ["", "Overview"],
    ["names", "Names"],
    ["pools", "Pools"],
    ["endpoints", "Endpoints"],
    ["votes", "Votes"],
    ["latency", "Latency"],
    ["events", "Events"],
  ]],
  ["Ask", [
    ["explain", "Explain"],
    ["plan", "Plan"],
    ["expectations", "Expectations"],
  ]],
  ["Steer", [
    ["overrides", "Overrides"],
    ["drills", "Drills"],
    ["proxy", "Proxy"],
  ]],
  ["Know", [
    ["nodes", "Nodes"],
    ["config", "Configuration"],
    ["audit", "Audit"],
  ]],
];

const LISTS = { "": overview, names, pools, endpoints, votes, latency, events, explain, plan, expectations, overrides, drills, proxy, nodes, config, audit };
const ONES = { names: name, pools: pool, endpoints: endpoint, regions: region, drills: drill };

const nowhere = {
  still: true,
  title: () => "No such view",
  load: async () => ({}),
  render: () => [heading("No such view"), empty("The address names no view of this console.", link("", "To the overview"))],
};

/** The view for the parts of an address, its arguments, and which entry of the menu it belongs to. */
export function find(parts) {
  const [first = "", second] = parts;
  if (parts.length <= 1 && Object.hasOwn(LISTS, first)) return { view: LISTS[first], args: {}, nav: first };
  if (parts.length === 2 && Object.hasOwn(ONES, first)) {
    return { view: ONES[first], args: { name: second }, nav: first === "regions" ? "" : first };
  }
  return { view: nowhere, args: {}, nav: null };
}

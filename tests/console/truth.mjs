// What the pages say is what the API says: numbers, words and colours, view by view.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { PATIENCE, base, dig, page_of, settled, test, until, view } from "./support.mjs";

const api = async (path) => {
  const answer = await fetch(`${base}${path}`, { headers: { accept: "application/json" } });
  assert.ok(answer.ok, `${path}: ${answer.status}`);
  return answer.json();
};

const number = new Intl.NumberFormat("en");

/** A table as rows of texts. */
const rows = (page, name) =>
  page.getByRole("table", { name }).evaluate((t) => [...t.tBodies[0].rows].map((r) => [...r.cells].map((c) => c.innerText.trim())));

/** Looks again until what is shown is what the API says: both go on while we look. */
const agree = (page, what, shown, told) =>
  until(what, async () => {
    const [is, should] = [await shown(), await told()];
    return JSON.stringify(is) === JSON.stringify(should) ? true : ((agree.last = [is, should]), false);
  }).catch((error) => {
    throw new Error(`${error.message}\nshown: ${JSON.stringify(agree.last[0])}\nAPI:   ${JSON.stringify(agree.last[1])}`);
  });

const median = (list) => {
  const sorted = [...list].sort((a, b) => a - b);
  const mid = sorted.length >> 1;
  return sorted.length % 2 ? sorted[mid] : (sorted[mid - 1] + sorted[mid]) / 2;
};

await test(async (browser) => {
  const page = await page_of(browser);

  // Queries from two places, so that there are flows, and a death, so that not all is well.
  for (let i = 0; i < 6; i += 1) dig("www.gslb.example", i % 3 ? "192.0.2.0/24" : "203.0.113.0/24");
  execFileSync("kill", ["-9", process.env.TRADEWIND_VICTIM]);
  await until("eu-1 is down", async () => (await api("/v1/endpoints/eu-1")).state === "down");
  await until("there are flows", async () => (await api("/v1/flows?window=1h")).length > 1, 2 * PATIENCE);

  // Overview: figures, regions on the map and beside it, flows.
  await view(page, "");
  const figure = (name) => page.locator(".figure", { has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) }).locator("dd").innerText();
  await agree(page, "figures are those of the status", async () => [await figure("Names"), await figure("Answer normally"), await figure("Endpoints up"), await figure("Overrides")], async () => {
    const s = await api("/v1/status");
    return [number.format(s.names.total), number.format(s.names.normal), `${s.endpoints.up} of ${s.endpoints.total}`, String(s.overrides)];
  });
  await page.getByText("Endpoint eu-1 is down").waitFor();
  const kind = (r) => (r.endpoints.serving === r.endpoints.total ? "good" : r.endpoints.serving ? "warn" : "bad");
  await agree(page, "places have the region's health and capacity",
    () => page.locator(".map .place").evaluateAll((all) => all.map((p) => [
      p.querySelector(".place-name").textContent,
      p.querySelector(".shape").getAttribute("class").split(" ")[1],
      Math.round(100 * Number(p.querySelector(".ring-fill").getAttribute("stroke-dasharray").split(" ")[0]) / (2 * Math.PI * Number(p.querySelector(".ring-fill").getAttribute("r")))),
    ]).sort()),
    async () => (await api("/v1/regions")).regions.map((r) => [r.name, kind(r), r.capacity.percent]).sort());
  const flows = async () => (await api("/v1/flows?window=1h&limit=10000")).filter((f) => f.region);
  await agree(page, "flows add up to those of the API",
    async () => (await rows(page, "Query flows from client places to regions")).map(([from, to]) => `${from} ${to}`).sort(),
    async () => [...new Set((await flows()).map((f) => `${f.country ?? "no known place"} ${f.region}`))].sort());
  await agree(page, "an arc for each pair of place and region",
    () => page.locator(".map .arcs .arc").count(),
    async () => new Set((await flows()).filter((f) => f.latitude !== null).map((f) => `${Math.round(f.longitude / 2)} ${Math.round(f.latitude / 2)} ${f.region}`)).size);

  // A name: the tier that answers is the one of the API's offers.
  await view(page, "names/www.gslb.example");
  await agree(page, "live tiers are those that answer",
    () => page.locator(".tiers").evaluateAll((all) => all.map((t) => [...t.children].map((li) => [[...li.querySelectorAll("a")].map((a) => a.textContent), li.classList.contains("live")]))),
    async () => {
      const n = await api("/v1/names/www.gslb.example");
      return (n["by-plan"] ?? n.by_plan).map((plan) => {
        const answering = new Set(plan.offers.flatMap((o) => o.endpoints.map((e) => e.pool)));
        return plan.tiers.map((pools) => [pools, pools.some((p) => answering.has(p))]);
      });
    });

  // Explain: the answer, who is chosen on the map, and the client's place.
  await view(page, "explain?name=www.gslb.example&client=203.0.113.0/24");
  const why = await api("/v1/explain?name=www.gslb.example&client=203.0.113.0/24");
  assert.deepEqual((await rows(page, "Answered endpoints")).map(([e, r]) => [e, r]).sort(), why.answer.map((a) => [a.endpoint, a.region]).sort());
  assert.deepEqual(await page.locator(".map .place.chosen .place-name").allTextContents(), [...new Set(why.answer.map((a) => a.region))]);
  assert.equal(await page.locator(".map .point.client").count(), 1);

  // Votes: what each vantage says, and the death in the strips, as long as the record goes back.
  for (const back of ["15m", "24h"]) {
    await view(page, `votes?back=${back}`);
    await agree(page, "votes are those of the API",
      async () => (await rows(page, "Votes, vantages by endpoint")).map((r) => [r[0], r[3].split(/\s/)[0]]),
      async () => (await api("/v1/votes?limit=50")).endpoints.map((e) => [e.endpoint, e.votes[0].opinion]));
    const strip = (name) => page.getByRole("row", { name: new RegExp(`^${name}`) }).locator(".strip").first();
    await until("the death is in the strip", async () => (await strip("eu-1").locator(".fill.bad").count()) > 0);
    assert.match(await strip("eu-1").getAttribute("aria-label"), /\d+ changes?, down now$/);
    // Of one that lives: down in the strip only where the record has it so, which a slow machine can bring about.
    await agree(page, "the strip of us-1 is what the record says",
      async () => [(await strip("us-1").locator(".fill.bad").count()) > 0, (await strip("us-1").locator(".fill.good").count()) > 0],
      async () => {
        const { changes } = (await api(`/v1/votes/history?since=-${back}&q=us-1`)).endpoints[0];
        return [changes.some((c) => !c.healthy && c.state !== "awaited"), changes.some((c) => c.healthy)];
      });
  }
  await page.getByText("The record begins at").waitFor();

  // The endpoint: as many changes as the API has.
  await view(page, "endpoints/eu-1?back=24h");
  const history = (await api("/v1/endpoints/eu-1/history?since=-24h")).changes;
  assert.deepEqual((await rows(page, "Changes of state")).map((r) => r[1].split(/\s/)[0]), history.slice(0, 20).map((c) => c.state));

  // Latency: the median of what steers.
  await view(page, "latency");
  await agree(page, "medians are those of the API's times",
    async () => (await page.getByRole("table", { name: "Round-trip times, sites by targets" }).count()) ? (await rows(page, "Round-trip times, sites by targets")).map((r) => r.map((c) => c.replace(" ~", ""))) : [],
    async () => {
      const [latency, regions] = [await api("/v1/latency"), await api("/v1/regions")];
      const of = new Map(regions.regions.flatMap((r) => r.pools.map((p) => [p.name, r.name])));
      const shown = (v) => (v === undefined ? "—" : v >= 1000 ? `${(v / 1000).toFixed(1)} s` : `${v > 0 && v < 10 && !Number.isInteger(v) ? v.toFixed(1) : Math.round(v)} ms`);
      const targets = [...new Set(latency.sites.flatMap((s) => s.endpoints.filter((e) => e.rtt_ms !== null).map((e) => of.get(e.pool))))].sort();
      return targets.map((t) => [t, ...latency.sites.map((s) => {
        const times = s.endpoints.filter((e) => of.get(e.pool) === t && e.rtt_ms !== null).map((e) => e.rtt_ms);
        return shown(times.length ? median(times) : undefined);
      })]);
    });

  // Proxy: listeners and backends.
  await view(page, "proxy");
  const listeners = (await api("/v1/proxy/listeners")).listeners;
  assert.deepEqual((await rows(page, "Listeners")).map((r) => [r[0], r[1], r[2]]), listeners.map((l) => [l.name, l.protocol, l.addresses.join("\n")]));
  await agree(page, "backends are those of the API",
    async () => (await rows(page, "Backends of app")).map((r) => [r[0], r[1], r[2]]),
    async () => (await api("/v1/proxy/upstreams")).upstreams.find((u) => u.name === "app").backends.map((b) => [b.name, b.state, b.address]));

  // A drill: where DNS sent clients before, while it ran, and after it.
  const asked = JSON.stringify({ effect: "drain", scope: "pool", name: "us", for: "10m", owner: "ann", reason: "to be compared", "break-glass": "eu-1 is down" });
  for (let i = 0; i < 6; i += 1) dig("www.gslb.example", i % 3 ? "192.0.2.0/24" : "203.0.113.0/24");
  const begun = await fetch(`${base}/v1/drills`, { method: "POST", headers: { "content-type": "application/json" }, body: asked });
  assert.equal(begun.status, 201);
  const { id } = await begun.json();
  // Its order is shown as a drill's, and is not an operator's to clear.
  await view(page, "overrides");
  await page.getByRole("table", { name: "Orders in force" }).getByRole("link", { name: `Drill ${id}` }).waitFor();
  assert.match(await page.getByRole("table", { name: "Orders in force" }).innerText(), /of a drill, for everybody/);
  assert.equal(await page.getByRole("button", { name: "Clear drill-drain of pool us" }).count(), 0);
  await view(page, "");
  await page.getByText("one drill under way").or(page.getByText("1 drill under way")).waitFor();
  assert.equal(await page.getByText("by an operator").count(), 0);
  const over = await fetch(`${base}/v1/drills/${id}/abort`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ owner: "ann" }) });
  assert.equal(over.status, 200);
  await until("the drill is reported", async () => (await api(`/v1/drills/${id}`)).state === "reported", 2 * PATIENCE);
  await view(page, `drills/${id}`);
  const { answers } = await api(`/v1/drills/${id}`);
  assert.ok(answers.regions.length > 1 && answers.samples.before > 0);
  const part = (x) => (x === null ? "not asked" : `${(100 * x).toFixed(1)} %`);
  assert.deepEqual(await rows(page, "Where DNS sent clients"), answers.regions.map((x) => [x.region, part(x.before), part(x.during), part(x.after)]));
  await page.getByText(answers.why_not).waitFor();

  // The others: as many rows as there are things, and each with its first words.
  for (const [at, name, path, told] of [
    ["pools", "Pools", "/v1/pools", (a) => a.pools.map((p) => [p.name, p.region])],
    ["names", "Steered names", "/v1/names?limit=50", (a) => a.names.map((n) => [n.name, n.standing])],
    ["endpoints", "Endpoints", "/v1/endpoints?limit=50", (a) => a.endpoints.map((e) => [e.name, e.state])],
    ["expectations", "Expectations", "/v1/expectations", (a) => a.expectations.map((e) => [e.question, e.holds ? "holds" : "fails"])],
    ["nodes", "Nodes", "/v1/fleet", (a) => a.members.map((m) => [m.node, m.state])],
  ]) {
    await view(page, at);
    await agree(page, `${at} are those of the API`, async () => (await rows(page, name)).map(([a, b]) => [a, b]), async () => told(await api(path)));
  }
  await settled(page, "nodes");
  await page.context().close();

  // Narrow, by keyboard alone: past the head, the views and back, and tables that are still tables.
  const narrow = await page_of(browser, { width: 360, height: 740, theme: "dark" });
  await view(narrow, "");
  const focus = () => narrow.evaluate(() => document.activeElement?.id);
  for (const role of ["banner", "navigation", "main"]) {
    // What is behind the button is no landmark until it is opened.
    assert.equal(await narrow.getByRole(role, { includeHidden: true }).count(), 1, role);
  }
  await narrow.keyboard.press("Tab");
  assert.equal(await focus(), "skip");
  await narrow.keyboard.press("Enter");
  assert.equal(await focus(), "main");
  await narrow.locator("#menu").focus();
  await narrow.keyboard.press("Enter");
  await narrow.getByRole("link", { name: "Expectations" }).waitFor();
  assert.equal(await narrow.locator("#menu").getAttribute("aria-expanded"), "true");
  await narrow.keyboard.press("Escape");
  assert.equal(await focus(), "menu");
  assert.ok(await narrow.getByRole("link", { name: "Expectations" }).isHidden());
  const table = narrow.getByRole("table", { name: "Regions, their health and load" });
  assert.equal(await table.getByRole("row").count(), 1 + (await api("/v1/regions")).regions.length);
  assert.ok((await table.getByRole("rowheader").count()) > 0);
});

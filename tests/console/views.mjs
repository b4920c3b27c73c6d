// Every view, in both themes, narrow and wide: it shows its data, axe-core finds nothing serious, the
// page does not scroll sideways, and no other host is asked.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { PATIENCE, base, overhang, page_of, picture, test, until, view, violations } from "./support.mjs";

const VIEWS = [
  "", "names", "names/www.gslb.example", "pools", "pools/eu", "endpoints", "endpoints/eu-1", "regions/eu", "votes",
  "latency", "events", "explain?name=www.gslb.example&client=192.0.2.0/24", "plan", "expectations", "overrides",
  "drills", "proxy", "nodes", "config", "audit", "nowhere",
];

/** Every view is looked at in both themes at each width: a theme changes without reading anything again. */
const SCREENS = [
  { theme: "light", width: 360, height: 740 },
  { theme: "dark", width: 1600, height: 1000 },
];
const OTHER = { light: "dark", dark: "light" };

let key = 0;

/** Asks for a change. */
async function order(method, path, body) {
  key += 1;
  const headers = { "content-type": "application/json", "x-tradewind": "console", "idempotency-key": `views-${process.pid}-${key}` };
  const answer = await fetch(`${base}${path}`, { method, headers, body: JSON.stringify(body) });
  assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json();
}

/** Orders in force, a drill that is over with its report, a plan's files: nothing that is looked at is empty. */
async function furnish() {
  const by = { owner: "ann", reason: "so that there is something to look at" };
  await order("PUT", "/v1/overrides", { kind: "drain", scope: "endpoint", name: "ap-2", ...by });
  await order("PUT", "/v1/overrides", { kind: "weight", scope: "endpoint", name: "us-2", weight: 5, for: "1h", ...by });
  await order("POST", "/v1/proxy/upstreams/app/backends/b1", { action: "drain", ...by });
  // Whatever a slow machine makes probes say: this is not about the rules.
  const { id } = await order("POST", "/v1/drills", { effect: "drain", scope: "endpoint", name: "us-1", for: "1s", label: true, "break-glass": "only to be looked at", ...by });
  await until("the drill is reported", async () => (await (await fetch(`${base}/v1/drills/${id}`)).json()).state === "reported", 2 * PATIENCE);
  return [`drills/${id}`];
}

/** Files of the configuration without what it expects, one region fewer. */
function changed() {
  const folder = process.env.TRADEWIND_FOLDER;
  return readdirSync(folder).filter((f) => f.endsWith(".toml")).map((name) => {
    const text = readFileSync(`${folder}/${name}`, "utf8").replaceAll('pools = ["eu", "us", "ap"]\npolicy = "nearest"', 'pools = ["us", "ap"]\npolicy = "nearest"');
    return { name, mimeType: "application/toml", buffer: Buffer.from(text) };
  }).filter((f) => !f.buffer.includes("[[expect]]"));
}

await test(async (browser) => {
  const wrong = [];
  const views = [...VIEWS, ...(await furnish())];
  // Side by side: most of a view's time is waiting for answers.
  const look = async (screen) => {
    const page = await page_of(browser, screen);
    const both = async (where, name) => {
      const over = await overhang(page);
      if (over) wrong.push(`${where}: ${over}`);
      for (const theme of [screen.theme, OTHER[screen.theme]]) {
        await page.emulateMedia({ colorScheme: theme });
        wrong.push(...(await violations(page)).map((v) => `${where}, ${theme}: ${v}`));
        await picture(page, `${name}-${theme}-${screen.width}`);
      }
      await page.emulateMedia({ colorScheme: screen.theme });
    };
    for (const at of views) {
      const where = `${at || "overview"}, ${screen.width} px`;
      await view(page, at);
      const title = await page.locator("h1").textContent();
      assert.ok(title, where);
      const failed = await page.locator("#main .notice.bad").allTextContents();
      if (failed.length) wrong.push(`${where}: ${failed.join(" ")}`);
      await both(where, at.split("?")[0].replaceAll("/", "-") || "overview");
    }
    // A plan with its map and its gate.
    await view(page, "plan");
    await page.getByLabel("Most that may move").fill("1%");
    await page.getByLabel("Files").setInputFiles(changed());
    await page.getByRole("button", { name: "Plan" }).click();
    await page.getByText("Beyond the bound").waitFor({ timeout: 2 * PATIENCE });
    assert.ok((await page.locator(".map .arc.moved").count()) > 0, "the map of a plan shows who moves");
    assert.equal(await page.locator("#main .badge", { hasText: "the gate fails" }).count(), 1);
    await both(`planned, ${screen.width} px`, "planned");
    await page.context().close();
  };
  const looked = await Promise.allSettled(SCREENS.map(look));
  assert.deepEqual(wrong, []);
  for (const { reason } of looked) if (reason) throw reason;
});

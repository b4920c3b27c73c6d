// What the tests of the console share: a browser that talks to one node only, and what must hold on
// every page.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const folder = process.env.TRADEWIND_NPM;
assert.ok(folder, "TRADEWIND_NPM names the folder with playwright-core and axe-core");
const require = createRequire(`${folder}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

/** The node: `http://127.0.0.1:PORT`. */
export const base = process.env.TRADEWIND_ADMIN;
/** Where it answers DNS. */
export const dns = new URL(`dns://${process.env.TRADEWIND_DNS}`);
/** How long anything may take to show. */
export const PATIENCE = 40_000;

const found = [];

/** Starts the browser. */
export async function open() {
  return chromium.launch({
    executablePath: process.env.TRADEWIND_CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
}

/** A page that fails the test when it asks another host, breaks its policy or throws. */
export async function page_of(browser, { width = 1280, height = 900, theme = "light", may = () => false } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: "reduce" });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  page.on("request", (request) => {
    const to = new URL(request.url());
    if (!["blob:", "data:"].includes(to.protocol) && to.origin !== base) found.push(`asked another host: ${request.url()}`);
  });
  page.on("pageerror", (error) => found.push(`threw: ${error.stack ?? error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !may(message)) found.push(`said: ${message.text()} ${message.location().url}`);
  });
  return page;
}

/** Goes to a view, until it shows what it is about. */
export async function view(page, at) {
  await page.goto(`${base}/ui/#/${at}`);
  await settled(page, at);
}

/** Waits until the view has its data, and its map where it has one. */
export async function settled(page, at) {
  const path = `/${at.split("?")[0]}`;
  await page.waitForFunction(
    (wanted) => document.getElementById("main").dataset.shown === wanted && !document.querySelector("#main .loading, #main .waiting"),
    path,
  );
}

/** What axe-core finds, of serious and critical level. */
export async function violations(page) {
  // By the debugger, which the page's policy does not bind.
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const result = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    return result.violations
      .filter((v) => v.impact === "serious" || v.impact === "critical")
      .flatMap((v) => v.nodes.map((n) => `${v.id} (${v.impact}) at ${n.target.join(" ")}: ${n.failureSummary}`));
  });
}

/** How far the page is wider than its window. */
export async function overhang(page) {
  return page.evaluate(() => {
    const root = document.documentElement;
    const over = root.scrollWidth - root.clientWidth;
    if (over <= 0) return null;
    const wide = [...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest(".scroll, pre"));
    return `${over} px too wide: ${wide.slice(0, 3).map((e) => e.outerHTML.slice(0, 120)).join(" | ")}`;
  });
}

/** Addresses that `dig` gets for a client network. */
export function dig(name, client) {
  const out = execFileSync("dig", [`@${dns.hostname}`, "-p", dns.port, name, "A", `+subnet=${client}`, "+short", "+tries=1"], { encoding: "utf8" });
  return out.trim().split("\n").filter(Boolean).sort();
}

/** Waits until `condition` gives something true. */
export async function until(what, condition, bound = PATIENCE) {
  const end = Date.now() + bound;
  let last;
  for (;;) {
    last = await condition();
    if (last) return last;
    assert.ok(Date.now() < end, `${what}: not within ${bound} ms`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** A picture, where TRADEWIND_PICTURES names a folder. */
export async function picture(page, name) {
  const to = process.env.TRADEWIND_PICTURES;
  if (!to) return;
  mkdirSync(to, { recursive: true });
  await page.screenshot({ path: join(to, `${name}.png`), fullPage: true });
}

/** Runs a test, and fails it with all that was found on the way. */
export async function test(run) {
  const browser = await open();
  try {
    await run(browser);
  } finally {
    await browser.close();
  }
  assert.deepEqual([...new Set(found)], [], "what must not happen on any page");
}

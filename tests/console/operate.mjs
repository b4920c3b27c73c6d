// An operator at work: looks, asks why, drains a region and sees it in real answers, takes the drain
// back, is refused by a rule, and rehearses a failure.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { PATIENCE, dig, page_of, picture, settled, test, until, view, violations } from "./support.mjs";

const EU = "192.0.2.0/24";
const AT_HOME = ["127.1.0.11", "127.1.0.12"];

await test(async (browser) => {
  // What is refused is an answer of 409 or 422, which the browser writes down as an error.
  const page = await page_of(browser, { may: (m) => /\b(409|422)\b/.test(m.text()) });

  // The dashboard: regions on the map and in the table beside it.
  await view(page, "");
  await until("the stream is live", () => page.locator("#live", { hasText: "Live" }).count());
  const drawn = await page.locator(".map .place-name").allTextContents();
  assert.deepEqual(drawn.sort(), ["ap", "eu", "us"]);
  await page.getByRole("table", { name: "Regions, their health and load" }).getByRole("link", { name: "eu" }).click();
  await settled(page, "regions/eu");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "title", "the focus is on the new view's heading");

  // By keyboard: the search finds a name.
  await page.keyboard.press("/");
  await page.keyboard.type("www.gslb");
  await page.getByRole("option", { name: /www\.gslb\.example/ }).waitFor();
  await page.keyboard.press("Enter");
  await settled(page, "names/www.gslb.example");
  await page.getByText("Worst-case failover").first().waitFor();

  // Explain, as the form is filled in.
  await view(page, "explain");
  await page.getByLabel("Name", { exact: true }).fill("www.gslb.example");
  await page.getByLabel("Client", { exact: true }).fill(EU);
  await page.getByRole("button", { name: "Explain" }).click();
  const told = page.getByRole("table", { name: "Answered endpoints" });
  await told.waitFor();
  assert.match(await told.textContent(), /eu-1.*127\.1\.0\.11/);
  await picture(page, "operate-explain");

  // An override: the answer of real DNS follows.
  await until("clients of eu are at home", () => dig("www.gslb.example", EU).join() === AT_HOME.join());
  await view(page, "overrides");
  const form = page.locator("#give");
  await form.getByLabel("Order", { exact: true }).selectOption("drain");
  await form.getByLabel("About a").selectOption("region");
  await form.getByLabel("Called").fill("eu");
  await form.getByLabel("Who you are").fill("ann");
  await form.getByLabel("Reason").fill("a test of the console");
  await form.getByLabel("For", { exact: true }).fill("10m");
  await form.getByRole("button", { name: "Give the order" }).click();
  await page.getByRole("button", { name: "Clear drain of region eu" }).waitFor();
  await until("clients of eu are sent elsewhere", () => dig("www.gslb.example", EU).every((a) => !a.startsWith("127.1.")));
  assert.deepEqual(await violations(page), []);
  await picture(page, "operate-override");

  // The rule that one region stays (one name has eu and us only): refused with words, then the way past it.
  await form.getByLabel("Called").fill("us");
  await form.getByLabel("Reason").fill("too much");
  await form.getByRole("button", { name: "Give the order" }).click();
  await form.getByRole("alert").waitFor();
  await form.getByLabel("Break the rule, because").waitFor();
  assert.deepEqual(await violations(page), []);

  // Taken back with one press.
  await page.getByRole("button", { name: "Clear drain of region eu" }).click();
  await page.getByRole("button", { name: "Clear drain of region eu" }).waitFor({ state: "detached" });
  await until("clients of eu are at home again", () => dig("www.gslb.example", EU).join() === AT_HOME.join());

  // A plan: who would move if the nearest of fewer regions answered, and that this is too much.
  const folder = process.env.TRADEWIND_FOLDER;
  const files = readdirSync(folder).filter((f) => f.endsWith(".toml")).map((name) => {
    const text = readFileSync(`${folder}/${name}`, "utf8").replaceAll('pools = ["eu", "us", "ap"]\npolicy = "nearest"', 'pools = ["us", "ap"]\npolicy = "nearest"');
    return { name, mimeType: "application/toml", buffer: Buffer.from(text) };
  });
  const go = async (chosen) => {
    await page.getByLabel("Files").setInputFiles(chosen);
    await page.getByRole("button", { name: "Plan" }).click();
  };
  await view(page, "plan");
  await page.getByLabel("Most that may move").fill("1%");
  await go(files);
  await page.getByRole("alert").getByText("does not get what is expected").waitFor();
  await go(files.filter((f) => !f.buffer.includes("[[expect]]")));
  await page.getByText(/Beyond the bound: .* it may be up to .* only 1.00 % may be/).waitFor();
  await page.getByText("Samples behind it").waitFor();
  await page.getByText(/No query was seen for \d+ names?, which count in no sum/).waitFor();
  await page.getByLabel("Shares of").selectOption("addresses");
  await go(files.filter((f) => !f.buffer.includes("[[expect]]")));
  await page.getByText(/Beyond the bound: [\d.]+ % of clients would be sent to another region; only 1.00 % may be/).waitFor();
  assert.match(await page.getByRole("table", { name: "Who moves" }).textContent(), /eu.*us/);
  assert.deepEqual(await violations(page), []);
  await picture(page, "operate-plan");

  // A backend of the proxy is drained and serves again.
  await view(page, "proxy");
  await page.getByRole("button", { name: "Drain backend b0 of app" }).click();
  await page.getByRole("button", { name: "Enable backend b0 of app" }).click();
  await page.getByRole("button", { name: "Drain backend b0 of app" }).waitFor();

  // A drill for those who ask for its label: production stays where it is.
  await view(page, "drills");
  const drill = page.locator("#drill");
  await drill.getByLabel("To which kind of thing").selectOption("region");
  await drill.getByLabel("Called").fill("eu");
  await drill.getByLabel("For whom").selectOption("label");
  await drill.getByLabel("Who you are").fill("ann");
  await drill.getByLabel("Reason").fill("a rehearsal");
  await drill.getByLabel("For", { exact: true }).fill("4s");
  await drill.getByRole("button", { name: "Begin" }).click();
  await page.waitForURL(/#\/drills\/./);
  const id = decodeURIComponent(page.url().split("#/drills/")[1]);
  await settled(page, `drills/${encodeURIComponent(id)}`);
  await until("who asks for the label is sent elsewhere", () => {
    const got = dig(`drill-${id}.www.gslb.example`, EU);
    return got.length > 0 && got.every((a) => !a.startsWith("127.1."));
  });
  assert.deepEqual(dig("www.gslb.example", EU), AT_HOME, "everybody else stays");
  await page.getByRole("heading", { name: "Report" }).waitFor({ timeout: 2 * PATIENCE });
  await page.getByRole("heading", { name: "DNS answers" }).waitFor();
  assert.deepEqual(await violations(page), []);
  await picture(page, "operate-drill");

  // All of it is in the events and in the audit record.
  await view(page, "events?kind=order");
  await page.getByRole("list", { name: "Events, newest first" }).getByText("region eu").first().waitFor();
  await view(page, "audit");
  await page.getByRole("table", { name: "Audit record" }).getByText("ann").first().waitFor();
});

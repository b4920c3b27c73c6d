// What is shown stays new: by the event stream, and by looking again where that is cut.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { page_of, settled, test, until, view } from "./support.mjs";

const head = (page) => page.locator("#live").textContent();
const down = (page, name) => page.locator("tr", { hasText: name }).locator(".badge.bad").count();

await test(async (browser) => {
  // By the stream: a death shows without anybody asking again.
  const page = await page_of(browser);
  await view(page, "endpoints");
  await until("the stream is live", async () => (await head(page)) === "Live");
  assert.equal(await down(page, "eu-1"), 0);
  execFileSync("kill", ["-9", process.env.TRADEWIND_VICTIM]);
  await until("the death of eu-1 is shown", () => down(page, "eu-1"));
  await page.context().close();

  // Cut: it says so, and what is shown is still new.
  const cut = await page_of(browser, { may: (m) => m.text().includes("ERR_FAILED") });
  await cut.route("**/v1/events", (route) => (route.request().headers().accept === "text/event-stream" ? route.abort() : route.continue()));
  await view(cut, "endpoints");
  await until("it says that the stream is lost", async () => (await head(cut)).includes("Polling"));
  assert.equal(await down(cut, "eu-1"), 1);
  assert.equal(await down(cut, "eu-2"), 0);
  execFileSync("kill", ["-9", process.env.TRADEWIND_SECOND]);
  await until("the death of eu-2 is shown", () => down(cut, "eu-2"));

  // The stream is back.
  await cut.unroute("**/v1/events");
  await until("the stream is live again", async () => (await head(cut)) === "Live", 40_000);

  // Thousands of names: a page of them at a time.
  await view(cut, "names");
  await settled(cut, "names");
  const rows = () => cut.locator("main tbody tr").count();
  assert.equal(await rows(), 50);
  const first = await cut.locator("main tbody th").first().textContent();
  await cut.getByRole("button", { name: "Next" }).click();
  await until("the next page is shown", async () => (await cut.locator("main tbody th").first().textContent()) !== first);
  await cut.getByLabel("Find", { exact: true }).fill("n117");
  await until("the search finds one", async () => (await rows()) === 1);
});

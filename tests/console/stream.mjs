// What is shown stays new: by the event stream, and by looking again where that is cut.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { page_of, settled, test, until, view } from "./support.mjs";

const head = (page) => page.locator("#live").textContent();
const down = (page, name) => page.locator("tr", { hasText: name }).locator(".badge.bad").count();

await test(async (browser) => {
  // By the stream.
  const page = await page_of(browser);
  await view(page, "endpoints");
  await until("the stream is live", async () => (await head(page)) === "Live");
  assert.equal(await down(page, "eu-1"), 0);

  // However the network cuts the stream, the events are the same.
  const parsed = await page.evaluate(async () => {
    const { parser } = await import("/ui/lib/live.js");
    const stream = ": hello\n\nid: 7\nevent: order\ndata: {\"a\":1}\n\ndata: one\r\ndata:two\r\n\r\nevent: lost\n\n";
    const all = new Set();
    for (let cut = 0; cut <= stream.length; cut += 1) {
      const got = [];
      const feed = parser((event) => got.push(event));
      feed(stream.slice(0, cut));
      feed(stream.slice(cut));
      all.add(JSON.stringify(got));
    }
    return [...all];
  });
  assert.equal(parsed.length, 1);
  assert.deepEqual(JSON.parse(parsed[0]), [{ type: "order", data: '{"a":1}', id: "7" }, { type: "message", data: "one\ntwo", id: "7" }]);

  // Half a form, and where the cursor is in it, outlive what changes around it.
  await view(page, "overrides");
  await page.locator("#give").getByLabel("Reason").fill("half a thou");
  const number = () => page.locator("#generation").textContent();
  const before = await number();
  await until("another generation is shown", async () => (await number()) !== before);
  await page.keyboard.type("ght");
  assert.equal(await page.locator("#give").getByLabel("Reason").inputValue(), "half a thought");

  // A death shows without anybody asking again.
  await view(page, "endpoints");
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

  // The node does not answer at all: what is shown is said to be old, and nothing is said to be well.
  const away = await page_of(browser, { may: (m) => /ERR_(INTERNET_DISCONNECTED|FAILED|NETWORK_CHANGED)/.test(m.text()) });
  await view(away, "endpoints");
  await until("the stream is live", async () => (await head(away)) === "Live");
  await away.context().setOffline(true);
  // A browser that is cut off keeps a stream that is open: nothing comes by it.
  await until("what happens next is asked for in vain", async () => (await head(away)) !== "Live", 60_000);
  await away.getByRole("alert").getByText("What is shown is what was known last").waitFor({ timeout: 30_000 });
  await away.locator("#head", { hasText: "Not known now" }).waitFor();
  assert.ok((await away.locator("main tbody tr").count()) > 0, "what was known stays");
  await away.context().setOffline(false);
  await until("the stream is live again", async () => (await head(away)) === "Live", 40_000);
  await away.getByRole("alert").waitFor({ state: "detached" });
  await until("how it stands is known", async () => !(await away.locator("#head").textContent()).includes("Not known now"));
  await away.context().close();

  // No proxy here: said kindly, and no answer of 404 is shown.
  const none = await page_of(browser, { may: (m) => m.text().includes("404") });
  await view(none, "proxy");
  await none.getByText("carries no traffic: it has not the role proxy").waitFor();
  assert.equal(await none.locator("#main .notice.bad").count(), 0);
  await none.context().close();

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

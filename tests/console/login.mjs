// A node that wants to know who asks: signed out nothing is shown, a wrong token is refused with words, a
// viewer sees and may not order, an operator may.

import assert from "node:assert/strict";
import { page_of, picture, settled, test, until, violations, base } from "./support.mjs";

await test(async (browser) => {
  // Refusals are answers of 401, which the browser writes down as errors.
  const page = await page_of(browser, { may: (m) => m.text().includes("401") });
  await page.goto(`${base}/ui/#/overrides`);
  const form = page.getByRole("dialog", { name: "Sign in" });
  await form.waitFor();
  assert.equal(await page.getByRole("table").count(), 0, "nothing is shown to who is not known");
  assert.deepEqual(await violations(page), []);

  await form.getByLabel("Token").fill("tradewind_wrong");
  await form.getByRole("button", { name: "Sign in" }).click();
  await form.getByRole("alert").waitFor();
  await picture(page, "login");

  // Who may only look is told so.
  await form.getByLabel("Token").fill(process.env.TRADEWIND_VIEWER);
  await form.getByRole("button", { name: "Sign in" }).click();
  await form.waitFor({ state: "detached" });
  await settled(page, "overrides");
  await until("the head says who is here", async () => (await page.locator("#head").textContent()).includes("vera (viewer)"));
  assert.ok(await page.getByRole("button", { name: "Give the order" }).isDisabled());
  await page.getByText("This takes the role operator; you have viewer.").first().waitFor();
  const kept = await page.evaluate(() => [document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage)].join());
  assert.ok(!kept.includes(process.env.TRADEWIND_VIEWER), "no script of the page can read the token");
  assert.ok(!kept.includes("session"), "nor the session");

  // Another one, who may.
  await page.getByRole("button", { name: "Sign out" }).click();
  await form.waitFor();
  await form.getByLabel("Token").fill(process.env.TRADEWIND_OPERATOR);
  await form.getByRole("button", { name: "Sign in" }).click();
  await form.waitFor({ state: "detached" });
  await settled(page, "overrides");
  const give = page.locator("#give");
  await give.getByLabel("Called").fill("eu");
  await give.getByLabel("Who you are").fill("otto");
  await give.getByLabel("Reason").fill("a test of the console");
  await give.getByRole("button", { name: "Give the order" }).click();
  await page.getByRole("button", { name: "Clear drain of region eu" }).waitFor();

  // The session ends under a half-filled form: who signs in again finds it as it was.
  await give.getByLabel("Called").fill("us");
  await give.getByLabel("Reason").fill("half a thought");
  await page.context().clearCookies();
  await give.getByLabel("For", { exact: true }).fill("10m");
  await give.getByRole("button", { name: "Give the order" }).click();
  await form.waitFor();
  await form.getByLabel("Token").fill(process.env.TRADEWIND_OPERATOR);
  await form.getByRole("button", { name: "Sign in" }).click();
  await form.waitFor({ state: "detached" });
  await until("the view is there again", async () => (await page.locator("#main .notice.bad").count()) === 0);
  assert.equal(await give.getByLabel("Reason").inputValue(), "half a thought");
  assert.equal(await give.getByLabel("Called").inputValue(), "us");
  await page.goto(`${base}/ui/#/audit`);
  await settled(page, "audit");
  await page.getByRole("table", { name: "Audit record" }).getByText("otto").first().waitFor();
});

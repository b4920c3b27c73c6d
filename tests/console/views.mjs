// Every view, in both themes, narrow and wide: it shows its data, axe-core finds nothing serious, the
// page does not scroll sideways, and no other host is asked.

import assert from "node:assert/strict";
import { overhang, page_of, picture, test, view, violations } from "./support.mjs";

const VIEWS = [
  "", "names", "names/www.gslb.example", "pools", "pools/eu", "endpoints", "endpoints/eu-1", "regions/eu", "votes",
  "latency", "events", "explain?name=www.gslb.example&client=192.0.2.0/24", "plan", "expectations", "overrides",
  "drills", "proxy", "nodes", "config", "audit", "nowhere",
];

/** Every view in both themes and at both widths. */
const SCREENS = [
  { theme: "light", width: 360, height: 740 },
  { theme: "dark", width: 1600, height: 1000 },
];

await test(async (browser) => {
  const wrong = [];
  // Side by side: most of a view's time is waiting for answers.
  const look = async (screen) => {
    const page = await page_of(browser, screen);
    for (const at of VIEWS) {
      const where = `${at || "overview"}, ${screen.theme}, ${screen.width} px`;
      await view(page, at);
      const title = await page.locator("h1").textContent();
      assert.ok(title, where);
      const failed = await page.locator("#main .notice.bad").allTextContents();
      if (failed.length) wrong.push(`${where}: ${failed.join(" ")}`);
      const over = await overhang(page);
      if (over) wrong.push(`${where}: ${over}`);
      wrong.push(...(await violations(page)).map((v) => `${where}: ${v}`));
      await picture(page, `${at.split("?")[0].replaceAll("/", "-") || "overview"}-${screen.theme}-${screen.width}`);
    }
    await page.context().close();
  };
  await Promise.all(SCREENS.map(look));
  assert.deepEqual(wrong, []);
});

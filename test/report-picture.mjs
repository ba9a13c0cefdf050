/**
 * Makes the README's picture of a report from a real run: `node test/report-picture.mjs RUN_DIR [submission/report.png] [TASK]`. RUN_DIR is a folder of
 * `trm run --run-dir`; TASK the id of the task to show. Needs Chromium (TRM_TEST_CHROMIUM, or where Debian's package puts it) and a built program.
 */
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const MOST_BYTES = 200_000;
const [run, out = "submission/report.png", task = ""] = process.argv.slice(2);
if (run === undefined) throw new Error("name the folder of a run: node test/report-picture.mjs RUN_DIR [OUT.png] [TASK]");

execFileSync(process.execPath, ["submission/trm.mjs", "report", run], { stdio: "inherit" });
const executablePath = process.env.TRM_TEST_CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 }, deviceScaleFactor: 0.6, colorScheme: "light" });
  await page.goto(`${pathToFileURL(resolve(run, "report.html"))}#${encodeURIComponent(task)}`);
  await page.locator(".browser").scrollIntoViewIfNeeded();
  await page.waitForFunction(() => document.querySelectorAll(".thumbs canvas").length > 0); // drawn when they come into sight
  await page.evaluate(() => scrollTo({ top: 0, behavior: "instant" }));
  await page.screenshot({ path: out, fullPage: true });
} finally {
  await browser.close();
}
const bytes = statSync(out).size;
console.log(`${out}: ${bytes} bytes`);
if (bytes > MOST_BYTES) throw new Error(`${out} has ${bytes} bytes; the repository takes ${MOST_BYTES} at most`);

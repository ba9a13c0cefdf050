/** A real browser for the tests of pages: Debian's Chromium, found by TRM_TEST_CHROMIUM or where the package puts it. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { after } from "node:test";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";

const CHROMIUM = process.env.TRM_TEST_CHROMIUM ?? "/usr/bin/chromium";

/** Why a test that needs a browser can't run; false where it can or must. */
export const withoutBrowser: false | string =
  !existsSync(CHROMIUM) &&
  process.env.TRM_REQUIRE_CHROMIUM !== "1" &&
  `no browser at ${CHROMIUM}: apt-get install chromium, or TRM_TEST_CHROMIUM=PATH names one`;

let browser: Promise<Browser> | undefined;
after(async () => (await browser)?.close());

/** A page, and what it complained of. */
export interface Opened {
  readonly page: Page;
  /** messages on the console that are errors or warnings, and exceptions that nobody caught */
  readonly complaints: string[];
  /** addresses that it asked for, its own apart */
  readonly requests: string[];
}

/** Opens a file or an address in a window of its own. */
export async function open(
  target: string,
  { width = 1280, height = 900, dark = false, hash = "" }: { width?: number; height?: number; dark?: boolean; hash?: string } = {},
): Promise<Opened> {
  browser ??= import("playwright-core").then(({ chromium }) => chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] }));
  const context = await (await browser).newContext({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    deviceScaleFactor: 1,
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  const address = /^https?:/.test(target) ? target : String(pathToFileURL(target));
  page.on("request", (request) => {
    if (request.url().split("#")[0] !== address) requests.push(request.url());
  });
  await page.goto(address + hash);
  return { page, complaints, requests };
}

/** Asserts that axe finds nothing wrong with the page as it stands: WCAG 2.2 A and AA, and its best practices. */
export async function assertAccessible(page: Page, what: string): Promise<void> {
  await page.evaluate(readFileSync(resolve("node_modules/axe-core/axe.min.js"), "utf8"));
  const violations = (await page.evaluate("axe.run().then(({ violations }) => violations)")) as {
    id: string;
    help: string;
    nodes: { html: string; failureSummary: string }[];
  }[];
  const told = violations.map(
    ({ id, help, nodes }) => `${id}: ${help}\n${nodes.map(({ html, failureSummary }) => `  ${html}\n  ${failureSummary}`).join("\n")}`,
  );
  assert.deepEqual(told, [], what);
}

import { existsSync } from 'node:fs';
import type { Context } from 'mocha';
import { type Browser, chromium, type Page } from 'playwright-core';

const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';

const DEADLINE = 10_000;

/** Skips the suite where there is no Chromium, by name in the report; on CI that is a failure. */
export async function launchBrowser(context: Context): Promise<Browser> {
  if (!existsSync(executablePath)) {
    if (process.env.CI === 'true') throw new Error(`There is no Chromium at ${executablePath}; set CHROMIUM.`);
    return context.skip();
  }
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}

/** A page of somebody else: its own cookies, and every error it meets. */
export async function openPage(browser: Browser, baseURL: string): Promise<{ page: Page; errors: string[] }> {
  const context = await browser.newContext({ baseURL });
  context.setDefaultTimeout(DEADLINE);
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('pageerror', ({ message }) => errors.push(message));
  page.on('console', (entry) => entry.type() === 'error' && errors.push(entry.text()));
  return { page, errors };
}

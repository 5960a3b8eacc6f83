import { existsSync } from 'node:fs';
import type { Context } from 'mocha';
import { type Browser, chromium } from 'playwright-core';
import { bundledPages } from './bundled-pages.js';

const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';

/** One process each for all pages and for rendering: processes cost more than these pages do. */
const fewProcesses = [
  '--disable-gpu',
  '--in-process-gpu',
  '--renderer-process-limit=1',
  '--disable-site-isolation-trials',
];

let launching: Promise<Browser> | undefined;

/**
 * One Chromium for the whole run, because one takes a second to start; visitors have contexts of their own. Without Chromium the
 * suite is skipped, by name in the report; on CI that is a failure.
 */
export async function sharedBrowser(context: Context): Promise<Browser> {
  if (!existsSync(executablePath)) {
    if (process.env.CI === 'true') throw new Error(`There is no Chromium at ${executablePath}; set CHROMIUM.`);
    return context.skip();
  }
  await bundledPages();
  launching ??= chromium.launch({ executablePath, args: ['--no-sandbox', ...fewProcesses] });
  return launching;
}

// A worker of `mocha --parallel` knows no last file: Playwright ends the browser of a process that exits.
if (process.env.MOCHA_WORKER_ID === undefined) {
  after(async () => {
    await (await launching)?.close();
  });
}

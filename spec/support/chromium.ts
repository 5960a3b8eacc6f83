import { type Browser, chromium } from 'playwright-core';
import { Installed } from './installed.js';

const browser = new Installed('Chromium', 'CHROMIUM', 'chromium', [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
]);

const ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  // One process each for all pages, and for what draws them: processes cost more than the pages of specs do.
  '--in-process-gpu',
  '--renderer-process-limit=1',
  '--disable-site-isolation-trials',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const START_LIMIT = 60_000;

/** Call it first: `needsChromium(this)`. */
export function needsChromium(context: Mocha.Context): void {
  context.timeout(START_LIMIT);
  browser.neededBy(context);
}

/** A headless browser with a profile of its own that goes when it is closed. */
export async function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: browser.path, args: ARGUMENTS, timeout: START_LIMIT });
}

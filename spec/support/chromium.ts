import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

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

/**
 * For the `before` of specs that need a browser: passes them over where there is none, and fails with `CI=true`.
 * Call it as `needsChromium(this)`; what stands after it in the same hook does not run without a browser.
 */
export function needsChromium(context: Mocha.Context): void {
  context.timeout(START_LIMIT);
  if (findChromium() !== undefined) return;
  if (process.env.CI === 'true') throw new Error(missing());
  context.skip();
}

/** A headless browser with a profile of its own that goes when it is closed. */
export async function launchChromium(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error(missing());
  return chromium.launch({ executablePath, args: ARGUMENTS, timeout: START_LIMIT });
}

function findChromium(): string | undefined {
  const named = process.env.CHROMIUM;
  if (named === undefined || named === '') return PLACES.find((path) => existsSync(path));
  if (existsSync(named)) return named;
  throw new Error(`CHROMIUM is ${named}, where there is no file`);
}

function missing(): string {
  return `Chromium is missing: set CHROMIUM to its path, or install it (Debian: apt-get install chromium). Looked at ${PLACES.join(', ')}`;
}

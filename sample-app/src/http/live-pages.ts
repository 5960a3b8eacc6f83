import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { resolve } from 'node:path';

const packageFolder = resolve(import.meta.dirname, '../../..');

/** `npm run dev` sets it, for the build and for the app. In production the code below does nothing. */
const isDev = process.env.LIVE_PAGES === '1';

const tabs = new Set<ServerResponse>();
let version = randomUUID();

/** Reloads the open tabs of a developer when the app has restarted, and when `npm run dev` has built the pages. */
export const livePages = {
  /** Scripts that each page includes besides its own. */
  scripts: isDev ? [resolve(packageFolder, 'page/live-pages.ts')] : [],

  /** Answers the request of `page/live-pages.ts`. Returns whether the request was that one. */
  answer({ url }: IncomingMessage, response: ServerResponse): boolean {
    if (!isDev || url !== '/dev/version') return false;
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    tabs.add(response.once('close', () => tabs.delete(response)));
    // Milliseconds until a tab asks again after the app has ended.
    response.write(`retry: 250\n`);
    tell(response);
    return true;
  },
};

function tell(tab: ServerResponse): void {
  tab.write(`data: ${version}\n\n`);
}

if (isDev) {
  process.on('message', (message) => {
    if (message !== 'pages') return;
    version = randomUUID();
    for (const tab of tabs) tell(tab);
  });
}

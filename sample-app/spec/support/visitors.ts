import type { Browser, BrowserContext } from 'playwright-core';
import { type Chat, createChat } from '../../src/chat.js';
import { sharedBrowser } from './browser.js';
import { sharedDatabase, TIME_TO_OPEN } from './database.js';
import { Tab } from './tab.js';

const DEADLINE = 20_000;

/** Users with browsers. Each has cookies of their own; all browsers are closed when they leave, and others may come. */
export class Visitors {
  private readonly tabs: Tab[] = [];
  private readonly contexts: BrowserContext[] = [];

  constructor(
    private readonly browser: Browser,
    readonly address: string,
  ) {}

  /** A new browser, and its first tab. */
  async visit(): Promise<Tab> {
    const context = await this.browser.newContext({ baseURL: this.address });
    context.setDefaultTimeout(DEADLINE);
    this.contexts.push(context);
    return this.tabOf(context);
  }

  async signedUp(username: string, path = '/'): Promise<Tab> {
    const tab = await this.visit();
    await tab.signUp(username, path);
    return tab;
  }

  /** Another tab of the same browser. */
  async anotherTab({ page }: Tab, path: string): Promise<Tab> {
    const tab = await this.tabOf(page.context());
    await tab.page.goto(path);
    return tab;
  }

  /** The errors of the pages so far, including violations of their security policy. */
  unexpectedErrors(): string[] {
    return this.tabs.flatMap(({ errors }) => errors).filter((text) => !expectedError.test(text));
  }

  async leave(): Promise<void> {
    await Promise.all(this.contexts.splice(0).map((context) => context.close()));
  }

  private async tabOf(context: BrowserContext): Promise<Tab> {
    const tab = new Tab(await context.newPage());
    this.tabs.push(tab);
    return tab;
  }
}

/** The errors that a browser prints if the network is lost, or if no user is logged in any longer. */
const expectedError = /ERR_INTERNET_DISCONNECTED|WebSocket connection|status of 401/;

/** Starts the app on a free port, and its visitors. */
export function useVisitors(): Pick<Visitors, 'visit' | 'signedUp' | 'anotherTab' | 'unexpectedErrors' | 'leave'> {
  let chat: Chat | undefined;
  let visitors: Visitors | undefined;

  before(async function () {
    this.timeout(TIME_TO_OPEN);
    const browser = await sharedBrowser(this);
    chat = await createChat((await sharedDatabase()).orm);
    visitors = new Visitors(browser, await chat.http.listen({ host: '127.0.0.1', port: 0 }));
  });
  after(async () => {
    await visitors?.leave();
    await chat?.close();
  });

  const ready = () => {
    if (!visitors) throw new Error('Nobody visits before the hooks have run.');
    return visitors;
  };
  return {
    visit: () => ready().visit(),
    signedUp: (username, path) => ready().signedUp(username, path),
    anotherTab: (tab, path) => ready().anotherTab(tab, path),
    unexpectedErrors: () => ready().unexpectedErrors(),
    leave: () => ready().leave(),
  };
}

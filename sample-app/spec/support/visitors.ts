import type { Browser, BrowserContext } from 'playwright-core';
import { type Chat, createChat } from '../../src/chat.js';
import { sharedBrowser } from './browser.js';
import { sharedDatabase, TIME_TO_OPEN } from './database.js';
import { Tab } from './tab.js';

const DEADLINE = 10_000;

/** People with browsers. Each has cookies of their own; what they opened is closed with the spec. */
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

  /** What the pages met so far: breaches of their security policy as well. */
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

/** What a browser says where a network is gone, and where nobody is logged in any more. */
const expectedError = /ERR_INTERNET_DISCONNECTED|WebSocket connection|status of 401/;

/** The app on a free port, and whoever visits it. */
export function useVisitors(): Pick<Visitors, 'visit' | 'signedUp' | 'anotherTab' | 'unexpectedErrors'> {
  let chat: Chat | undefined;
  let visitors: Visitors;

  before(async function () {
    this.timeout(TIME_TO_OPEN);
    const browser = await sharedBrowser(this);
    chat = await createChat((await sharedDatabase()).orm);
    visitors = new Visitors(browser, await chat.http.listen({ host: '127.0.0.1', port: 0 }));
  });
  afterEach(() => visitors.leave());
  after(() => chat?.close());

  return {
    visit: () => visitors.visit(),
    signedUp: (username, path) => visitors.signedUp(username, path),
    anotherTab: (tab, path) => visitors.anotherTab(tab, path),
    unexpectedErrors: () => visitors.unexpectedErrors(),
  };
}

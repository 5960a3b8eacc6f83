import { expect } from 'chai';
import type { Browser, Page } from 'playwright-core';
import type { App } from 'signalbox';
import { launchChromium, needsChromium } from '../support/chromium.js';
import { useDatabase } from '../support/database.js';
import { patience } from '../support/deadline.js';
import { Room } from '../support/entities.js';
import { lastingPort } from '../support/ports.js';
import { exploredApp } from './fixture.js';

describe('The page of the explorer, in Chromium', () => {
  const database = useDatabase('explorer_page');
  let browser: Browser;
  let app: App;
  let address: string;
  /** One for all specs, because each new one is a process of the browser. */
  let page: Page;
  const faults: string[] = [];

  before(async function () {
    needsChromium(this);
    browser = await launchChromium();
    const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] });
    page = await context.newPage();
    page.setDefaultTimeout(patience);
    page.on('pageerror', ({ message }) => faults.push(message));
    page.on('console', (said) => said.type() === 'error' && faults.push(said.text()));
  });
  after(() => browser?.close());

  beforeEach(async function () {
    this.timeout(30_000);
    const em = database.orm.em.fork();
    em.create(Room, { name: 'red' });
    em.create(Room, { name: 'blue' });
    await em.flush();
    app = exploredApp(database.orm);
    const port = await lastingPort();
    await app.listen({ host: '127.0.0.1', port });
    address = `http://127.0.0.1:${port}/explorer/`;
    faults.length = 0;
  });
  afterEach(async () => {
    await page?.evaluate(() => {
      if (location.protocol !== 'http:') return;
      localStorage.clear();
      sessionStorage.clear();
    });
    await page?.context().clearCookies();
    // Before the application closes, or the page would report a lost connection.
    await page?.goto('about:blank');
    await app?.close();
    expect(faults).to.deep.equal([]);
  });

  async function open(hash = ''): Promise<void> {
    await page.goto(address + hash);
    await page.waitForSelector('#status[data-status=open]');
  }

  const send = (): Promise<void> => page.click('button:text-is("Send")');
  /** Clicks a link to an action. The browser shows the form of the action after the click has returned. */
  const choose = async (link: string, action: string): Promise<void> => {
    await page.click(link);
    await page.waitForSelector(`#main h2:has-text("${action}")`);
  };
  const shown = async (selector: string): Promise<string> => (await page.textContent(selector)) ?? '';
  const frames = (): Promise<string[]> => page.locator('.entry .what').allTextContents();

  it('lists streams, actions and observers', async function () {
    this.timeout(30_000);
    await open();
    expect(await page.locator('#tree h2').allTextContents()).to.deep.equal(['roomsRoom', 'messages']);
    expect(await page.locator('#tree .name').allTextContents()).to.deep.equal([
      'list',
      'retrieve',
      'create',
      'patch',
      'subscribe_instance',
      'unsubscribe_instance',
      'onInstance',
      'say',
      'follow',
      'count',
      'onMessage',
    ]);
    await page.fill('#filter', 'messages fol');
    expect(await page.locator('#tree .name').allTextContents()).to.deep.equal(['follow']);
  });

  it('makes a form of the kwargs, sends it, and shows the reply', async function () {
    this.timeout(30_000);
    await open('#action/rooms/create');
    await page.locator('#main [name$=name]').fill('green');
    await page.locator('#main [name$=archived]').selectOption('false');
    await send();
    await page.waitForSelector('.reply .json');
    expect(await shown('.reply h3')).to.match(/^201 Reply \d/);
    expect(JSON.parse(await shown('.reply .json'))).to.deep.equal({ id: 3, name: 'green', archived: false });
    expect(await frames()).to.deep.equal(['rooms.create', 'rooms.create', 'Connected to /ws/.']);
  });

  it('shows what is wrong at the field that it is about', async function () {
    this.timeout(30_000);
    await open('#action/messages/say');
    const room = page.locator('#main [name$=room]');
    await room.fill('one');
    await send();
    await page.waitForSelector('[aria-invalid=true]');
    expect(await room.getAttribute('aria-invalid')).to.equal('true');
    const errorId = (await room.getAttribute('aria-describedby'))?.split(' ').at(-1);
    expect(await shown(`#${errorId}`)).to.equal('room must be an integer number.');
    expect(await shown('.reply h3')).to.match(/^400 validation_failed/);
  });

  it('sends by hand what stands there, whatever it is', async function () {
    this.timeout(30_000);
    await open('#action/rooms/retrieve');
    await page.locator('#main [name$=pk]').fill('1');
    await page.click('#by-hand');
    expect(JSON.parse(await page.inputValue('#hand'))).to.deep.equal({
      stream: 'rooms',
      payload: { action: 'retrieve', request_id: 1, pk: 1 },
    });
    await page.fill('#hand', '{"stream": "rooms", "payload": {"action": "retreive", "request_id": "mine"}}');
    await page.keyboard.press('Control+Enter');
    await page.waitForSelector('.reply .badge');
    expect(await shown('.reply')).to.match(/^405 action_not_found/);
    await page.fill('#hand', 'no JSON');
    await send();
    await page.waitForSelector('.entry:has-text("parse_error")');
  });

  it('follows a subscription: its groups, its events, and its end', async function () {
    this.timeout(30_000);
    await open('#action/messages/follow');
    await page.locator('#main [name$=room]').fill('1');
    await send();
    await page.click('[role=tab]:has-text("Subscriptions")');
    await page.waitForSelector('.subscription:has-text("room-1")');
    expect(await shown('.subscription')).to.equal(
      'messages.follow#1live0 eventsUnsubscribe{"room":1}onMessage in room-1',
    );
    await choose('a[href="#action/messages/say"]', 'messages.say');
    await page.locator('#main [name$=room]').fill('1');
    await page.locator('#main [name$=text]').fill('hi');
    await send();
    await page.waitForSelector('.subscription:has-text("1 event")');
    await page.click('[role=tab]:has-text("Frames")');
    expect(await page.locator('.entry.event .what').allTextContents()).to.deep.equal(['messages.create']);
    await page.click('.entry.event .line');
    expect(JSON.parse(await shown('.entry.event .json'))).to.deep.include({ action: 'create', request_id: 1 });
    await page.click('[role=tab]:has-text("Subscriptions")');
    await page.click('button:text-is("Unsubscribe")');
    await page.waitForSelector('#subscriptions:has-text("There are none.")');
  });

  it('filters the frames by kind and by text', async function () {
    this.timeout(30_000);
    await open('#action/messages/count');
    await send();
    await page.waitForSelector('.entry.reply');
    await page.click('.chip:text-is("Sent")');
    expect(await page.locator('.entry.sent').count()).to.equal(0);
    expect(await page.getAttribute('.chip:text-is("Sent")', 'aria-pressed')).to.equal('false');
    await page.fill('#entry-filter', 'connected');
    expect(await frames()).to.deep.equal(['Connected to /ws/.']);
    await page.click('#panel-0 button:text-is("Clear")');
    await page.waitForSelector('.entries:has-text("Frames appear here")');
  });

  it('says why an event came, and why others did not', async function () {
    this.timeout(30_000);
    await open('#action/messages/say');
    const say = async (room: string, text: string): Promise<void> => {
      await page.locator('#main [name$=room]').fill(room);
      await page.locator('#main [name$=text]').fill(text);
      await send();
    };
    await page.click('[role=tab]:has-text("Changes")');
    await say('1', 'hi');
    await page.waitForSelector('.change');
    expect(await shown('.change .why')).to.equal(
      'This connection has no subscription to onMessage. To subscribe: follow',
    );
    expect(await shown('.change .groups')).to.equal('Groups no group before, room-1 after');
    await choose('.change .why a', 'messages.follow');
    await page.locator('#main [name$=room]').fill('2');
    await send();
    await page.waitForSelector('#tab-1 .count:text-is("1")');
    await choose('a[href="#action/messages/say"]', 'messages.say');
    const first = page.locator('.change').first().locator('.why');
    await say('1', 'there');
    await page.waitForSelector('.change:has-text("Message 2")');
    await page.waitForSelector('.why:has-text("which are not groups")');
    expect(await first.textContent()).to.equal('Request #2 listens to room-2, which are not groups of this row.');
    await say('2', 'psst');
    await page.waitForSelector('.why:has-text("NoWhispers says no")');
    expect(await first.textContent()).to.equal(
      'Request #2: a permission refused it (IsKnown has no opinion, NoWhispers says no).',
    );
    await say('2', 'aloud');
    await page.waitForSelector('.change.sent');
    expect(await first.textContent()).to.equal(
      'Request #2: sent as create (IsKnown has no opinion, NoWhispers says yes).',
    );
  });

  it('shows the scope and the groups of the connection', async function () {
    this.timeout(30_000);
    await open('#action/messages/follow');
    await page.locator('#main [name$=room]').fill('2');
    await send();
    await page.click('[role=tab]:has-text("Connection")');
    await page.waitForSelector('.table:has-text("onMessage/room-2")');
    expect(await shown('section:has(h3:text-is("Scope"))'))
      .to.include('"name": "guest"')
      .and.include('"[redacted]"');
    await page.getByLabel('Query').fill('as=ann');
    await page.click('button:text-is("Reconnect")');
    await page.waitForSelector('section:has-text("ann")');
  });

  it('says why the server refuses the connection', async function () {
    this.timeout(30_000);
    await open();
    await page.click('[role=tab]:has-text("Connection")');
    await page.getByLabel('Query').fill('as=nobody');
    await page.click('button:text-is("Reconnect")');
    await page.waitForSelector('#status[data-status=refused]');
    expect(await shown('.notice')).to.equal(
      'The server refused the connection. 401: Authentication credentials were not provided. Log in on a page of the application in this browser, then press Connect.',
    );
    expect(await page.isDisabled('button:text-is("Send")')).to.equal(true);
    expect(faults.splice(0).join()).to.include('WebSocket connection to');
  });

  it('asks for the parameters of a path', async function () {
    this.timeout(30_000);
    await open();
    await page.selectOption('#route', { label: '/ws/tenants/:tenant(int)/' });
    await page.locator('#parameter-tenant').fill('12');
    await page.click('button:text-is("Connect")');
    await page.waitForSelector('#status[data-status=open]');
    await send();
    await page.waitForSelector('.reply .json');
    expect(await shown('.reply .json')).to.equal('"12"');
  });

  it('copies a request as client code, and as a frame', async function () {
    this.timeout(30_000);
    await open('#action/messages/follow');
    await page.locator('#main [name$=room]').fill('1');
    await page.click('button:text-is("Copy code")');
    await page.waitForSelector('button:text-is("Copied")');
    const copied = (): Promise<string> => page.evaluate(() => navigator.clipboard.readText());
    expect(await copied()).to.equal(
      [
        "import { createClient } from 'signalbox/client';",
        "import type { Api } from './api.js';",
        '',
        `const client = createClient<Api>('${address.replace('http', 'ws').replace('explorer', 'ws')}');`,
        '',
        "const subscription = client.messages.$on('onMessage', 'follow', { room: 1 }, (event) => console.log(event));",
        'await subscription.ready;',
      ].join('\n'),
    );
    await page.click('button:text-is("Copy frame")');
    await page.waitForFunction(async () => (await navigator.clipboard.readText()).startsWith('{'));
    expect(JSON.parse(await copied())).to.deep.equal({
      stream: 'messages',
      payload: { action: 'follow', request_id: 1, room: 1 },
    });
  });

  it('comes back when the server does, and subscribes again when it is told to', async function () {
    this.timeout(30_000);
    await open('#action/messages/follow');
    await page.locator('#main [name$=room]').fill('1');
    await send();
    await page.click('[role=tab]:has-text("Subscriptions")');
    await page.waitForSelector('.subscription.live');
    const port = Number(new URL(address).port);
    await app.close();
    await page.waitForSelector('.subscription.lost');
    app = exploredApp(database.orm);
    await app.listen({ host: '127.0.0.1', port });
    await page.waitForSelector('#status[data-status=open]');
    await page.click('button:text-is("Subscribe again")');
    await page.waitForSelector('.subscription.live:has-text("room-1")');
    faults.length = 0;
  });

  it('names every control, and can be used by the keyboard alone', async function () {
    this.timeout(30_000);
    await open('#action/rooms/create');
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll('button, a[href], input, select, textarea')]
        .filter((one) => {
          const { labels, textContent } = one as HTMLInputElement;
          return !(labels?.length || textContent?.trim() || one.getAttribute('aria-label'));
        })
        .map(({ outerHTML }) => outerHTML),
    );
    expect(nameless).to.deep.equal([]);
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.textContent)).to.equal('Skip to the request');
    await page.keyboard.press('Enter');
    expect(await page.evaluate(() => document.activeElement?.id)).to.equal('main');
    await page.focus('#tab-0');
    await page.keyboard.press('ArrowRight');
    expect(await page.getAttribute('#tab-1', 'aria-selected')).to.equal('true');
    await page.keyboard.press('/');
    expect(await page.evaluate(() => document.activeElement?.id)).to.equal('filter');
  });

  it('shows one pane at a time on a phone, and nothing wider than it', async function () {
    this.timeout(30_000);
    await page.setViewportSize({ width: 360, height: 740 });
    await open('#action/rooms/create');
    const width = (): Promise<number> => page.evaluate(() => document.documentElement.scrollWidth);
    expect(await page.isVisible('#api')).to.equal(false);
    for (const view of ['api', 'request', 'activity']) {
      await page.click(`#views [data-view=${view}]`);
      expect(await width(), view).to.equal(360);
    }
    expect(await page.isVisible('#main')).to.equal(false);
  });
});

import { expect } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { type Chat, createChat } from '../src/chat.js';
import { launchBrowser, openPage } from './support/browser.js';
import { sharedDatabase, TIME_TO_OPEN } from './support/database.js';
import { bundledPages } from './support/pages.js';
import { unique } from './support/unique.js';

const password = 'correct horse battery';

describe('the pages', function () {
  this.timeout(TIME_TO_OPEN);
  let browser: Browser;
  let chat: Chat;
  let address: string;
  const errors: string[][] = [];

  before(async function () {
    browser = await launchBrowser(this);
    await bundledPages();
    chat = await createChat((await sharedDatabase()).orm);
    address = await chat.http.listen({ host: '127.0.0.1', port: 0 });
  });
  after(async () => {
    await browser?.close();
    await chat?.close();
  });

  async function signedUp(username: string, path = '/'): Promise<Page> {
    const visitor = await openPage(browser, address);
    errors.push(visitor.errors);
    const { page } = visitor;
    await page.goto(path);
    await page.getByRole('link', { name: 'Make an account' }).click();
    await page.getByRole('heading', { name: 'Make an account' }).waitFor();
    await page.getByLabel('User name').fill(username);
    await page.getByRole('textbox', { name: 'Password' }).fill(password);
    await page.getByRole('button', { name: 'Sign up' }).click();
    await page.getByText('Connected', { exact: true }).waitFor({ state: 'attached' });
    return page;
  }

  async function openRoom(page: Page, name: string): Promise<string> {
    await page.getByLabel('Name of a room').fill(name);
    await page.getByRole('button', { name: 'Open room' }).click();
    await page.getByRole('heading', { name, level: 1 }).waitFor();
    return new URL(page.url()).pathname;
  }

  async function write(page: Page, text: string): Promise<void> {
    await page.getByLabel('Message', { exact: true }).fill(text);
    await page.keyboard.press('Enter');
  }

  const messageIn = (page: Page, text: string) => page.getByRole('log').getByText(text, { exact: true });
  const userIn = (page: Page, username: string) => page.locator(`#users [data-user="${username}"]`);

  it('let two people talk in one room', async () => {
    const [ada, grace] = [unique('ada'), unique('grace')];
    const adasPage = await signedUp(ada);
    const room = await openRoom(adasPage, unique('Platform'));
    const gracesPage = await signedUp(grace, room);

    await Promise.all([userIn(adasPage, grace).waitFor(), userIn(gracesPage, ada).waitFor()]);
    await write(adasPage, 'Is the 7:42 on time?');
    await messageIn(gracesPage, 'Is the 7:42 on time?').waitFor();
    await write(gracesPage, '<b>Platform two</b>');
    await Promise.all([adasPage, gracesPage].map((page) => messageIn(page, '<b>Platform two</b>').waitFor()));
    expect(
      await messageIn(adasPage, 'Is the 7:42 on time?').locator('xpath=ancestor::li').getAttribute('class'),
    ).to.match(/\bown\b/);

    await gracesPage.close();
    await userIn(adasPage, grace).waitFor({ state: 'detached' });
    await userIn(adasPage, ada).waitFor();

    await adasPage.reload();
    await messageIn(adasPage, '<b>Platform two</b>').waitFor();
    await userIn(adasPage, ada).waitFor();
  });

  it('list a user with two tabs until the second one is closed', async () => {
    const [ada, grace] = [unique('ada'), unique('grace')];
    const adasPage = await signedUp(ada);
    const room = await openRoom(adasPage, unique('Platform'));
    const first = await signedUp(grace, room);
    await userIn(adasPage, grace).waitFor();
    const second = await first.context().newPage();
    await second.goto(room);
    await userIn(second, grace).waitFor();

    await first.close();
    await write(second, 'Still here');
    await messageIn(adasPage, 'Still here').waitFor();
    expect(await userIn(adasPage, grace).count()).to.equal(1);
    await second.close();
    await userIn(adasPage, grace).waitFor({ state: 'detached' });
  });

  it('show in the lobby what rooms there are and who is inside', async () => {
    const watcher = await signedUp(unique('ada'));
    const name = unique('Platform');
    const host = await signedUp(unique('grace'));
    await openRoom(host, name);
    const card = watcher.getByRole('listitem').filter({ hasText: name });
    await card.getByText('1 person inside').waitFor();
    await host.goto('/');
    await card.getByText('Nobody inside').waitFor();
    await watcher.getByRole('link', { name }).click();
    await watcher.getByRole('heading', { name, level: 1 }).waitFor();
  });

  it('say what is wrong at the log-in', async () => {
    const { page } = await openPage(browser, address);
    await page.goto('/log-in');
    await page.getByLabel('User name').fill(unique('nobody'));
    await page.getByRole('textbox', { name: 'Password' }).fill(password);
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('The user name or the password is wrong.').waitFor();
  });

  it('say that a room does not exist', async () => {
    const page = await signedUp(unique('ada'));
    await page.goto('/rooms/999999999');
    await page.getByRole('heading', { name: 'There is no such room' }).waitFor();
  });

  it('show a lost connection, and come back with what was missed', async () => {
    const [ada, grace] = [unique('ada'), unique('grace')];
    const adasPage = await signedUp(ada);
    const room = await openRoom(adasPage, unique('Platform'));
    const gracesPage = await signedUp(grace, room);
    await adasPage.context().setOffline(true);
    await adasPage.getByText('You are offline. Waiting for the network…').waitFor();
    await userIn(gracesPage, ada).waitFor({ state: 'detached' });
    await write(gracesPage, 'You missed this');
    await messageIn(gracesPage, 'You missed this').waitFor();

    await adasPage.context().setOffline(false);
    await messageIn(adasPage, 'You missed this').waitFor();
    await userIn(gracesPage, ada).waitFor();
  });

  it('log out', async () => {
    const page = await signedUp(unique('ada'));
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('heading', { name: 'Welcome back' }).waitFor();
    await page.goto('/');
    await page.getByRole('heading', { name: 'Welcome back' }).waitFor();
  });

  it('meet no error and break no rule of their security policy', () => {
    const unexpected = errors.flat().filter((text) => !/ERR_INTERNET_DISCONNECTED|WebSocket connection/.test(text));
    expect(unexpected).to.deep.equal([]);
  });
});

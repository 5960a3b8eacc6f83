import { expect } from 'chai';
import { TIME_TO_OPEN } from './support/database.js';
import { unique } from './support/unique.js';
import { useVisitors } from './support/visitors.js';

describe('the pages', function () {
  this.timeout(TIME_TO_OPEN);
  const visitors = useVisitors();

  // Pages that stay open would continue to render the changes of later specs.
  afterEach(() => visitors.leave());

  it('let two people talk in one room', async () => {
    const [ada, grace] = [unique('ada'), unique('grace')];
    const adas = await visitors.signedUp(ada);
    const room = await adas.openRoom(unique('Platform'));
    const graces = await visitors.visit();
    await graces.page.goto(room);
    await graces.signUpByForm(grace);

    await Promise.all([adas.user(grace).waitFor(), graces.user(ada).waitFor()]);
    await adas.write('Is the 7:42 on time?');
    await graces.message('Is the 7:42 on time?').waitFor();
    await graces.write('<b>Platform two</b>');
    await Promise.all([adas, graces].map((tab) => tab.message('<b>Platform two</b>').waitFor()));
    const line = adas.message('Is the 7:42 on time?').locator('xpath=ancestor::li');
    expect(await line.getAttribute('class')).to.match(/\bown\b/);

    await graces.page.close();
    await adas.user(grace).waitFor({ state: 'detached' });
    await adas.user(ada).waitFor();

    await adas.page.reload();
    await adas.message('<b>Platform two</b>').waitFor();
    await adas.user(ada).waitFor();
  });

  it('list a user with two tabs until the second one is closed', async () => {
    const [ada, grace] = [unique('ada'), unique('grace')];
    const adas = await visitors.signedUp(ada);
    const room = await adas.openRoom(unique('Platform'));
    const first = await visitors.signedUp(grace, room);
    await adas.user(grace).waitFor();
    const second = await visitors.anotherTab(first, room);
    await second.user(grace).waitFor();

    await first.page.close();
    await second.write('Still here');
    await adas.message('Still here').waitFor();
    expect(await adas.user(grace).count()).to.equal(1);
    await second.page.close();
    await adas.user(grace).waitFor({ state: 'detached' });
  });

  it('show in the lobby what rooms there are and who is inside', async () => {
    const watcher = await visitors.signedUp(unique('ada'));
    const name = unique('Platform');
    const host = await visitors.signedUp(unique('grace'));
    await host.openRoom(name);
    await watcher.card(name).getByText('1 person inside').waitFor();
    await host.page.goto('/');
    await watcher.card(name).getByText('Nobody inside').waitFor();
    await watcher.page.getByRole('link', { name }).click();
    await watcher.page.getByRole('heading', { name, level: 1 }).waitFor();
  });

  it('say what is wrong at the log-in', async () => {
    const { page } = await visitors.visit();
    await page.goto('/log-in');
    await page.getByLabel('User name').fill(unique('nobody'));
    await page.getByRole('textbox', { name: 'Password' }).fill('correct horse battery');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('The user name or the password is wrong.').waitFor();
  });

  it('say that a room does not exist', async () => {
    const { page } = await visitors.signedUp(unique('ada'));
    await page.goto('/rooms/999999999');
    await page.getByRole('heading', { name: 'There is no such room' }).waitFor();
  });

  it('show that they are offline, and come back with what was missed and what was written meanwhile', async () => {
    const [ada, grace] = [unique('ada'), unique('grace')];
    const adas = await visitors.signedUp(ada);
    const room = await adas.openRoom(unique('Platform'));
    const graces = await visitors.signedUp(grace, room);
    await adas.page.context().setOffline(true);
    await adas.page.getByText('You are offline. Waiting for the network…').waitFor();
    await graces.user(ada).waitFor({ state: 'detached' });
    await graces.write('You missed this');
    await graces.message('You missed this').waitFor();
    await adas.write('From the tunnel');

    await adas.page.context().setOffline(false);
    await adas.connected();
    for (const tab of [adas, graces]) {
      await tab.message('You missed this').waitFor();
      await tab.message('From the tunnel').waitFor();
      await tab.user(ada).waitFor();
    }
    expect(await adas.page.getByLabel('Message', { exact: true }).inputValue()).to.equal('');
  });

  it('meet no error and break no rule of their security policy', () => {
    expect(visitors.unexpectedErrors()).to.deep.equal([]);
  });
});

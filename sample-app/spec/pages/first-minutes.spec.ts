import { expect } from 'chai';
import { TIME_TO_OPEN } from '../support/database.js';
import type { Tab } from '../support/tab.js';
import { unique } from '../support/unique.js';
import { useVisitors } from '../support/visitors.js';

describe('the pages, in the first minutes,', function () {
  this.timeout(TIME_TO_OPEN);
  const visitors = useVisitors();
  let adas: Tab;
  let room: string;

  it('say to the first user how to be two', async () => {
    const { page } = await visitors.visit();
    await page.goto('/sign-up');
    expect(await page.getByText('This chat has no users yet').isVisible()).to.equal(false);
    await page.goto('/sign-up?first');
    await page.getByText('open this address in a private window').waitFor();
  });

  it('show the frames as they come and go, also on the next page', async () => {
    adas = await visitors.signedUp(unique('ada'));
    const { page } = adas;
    const frames = page.getByRole('region', { name: 'Frames of the socket' });
    expect(await frames.isVisible()).to.equal(false);
    await page.getByRole('button', { name: 'Frames' }).click();
    room = await adas.openRoom(unique('Platform'));
    await adas.write('Is anybody here?');
    await frames.locator('.sent', { hasText: '"action": "create_message"' }).waitFor();
    await frames.locator('.received', { hasText: '"response_status": 201' }).first().waitFor();
    await frames.getByRole('button', { name: 'Close' }).click();
    expect(await frames.isVisible()).to.equal(false);
    await page.reload();
    await adas.connected();
    expect(await frames.isVisible()).to.equal(false);
  });

  it('say of a message without a connection that it will be sent, until it was', async () => {
    const { page } = adas;
    const waiting = page.getByText('Your message is sent as soon as it is back.');
    await page.context().setOffline(true);
    await page.getByText('You are offline. Waiting for the network…').waitFor();
    expect(await waiting.isVisible()).to.equal(false);
    await adas.write('From the tunnel');
    await waiting.waitFor();
    await page.context().setOffline(false);
    await adas.message('From the tunnel').waitFor();
    await waiting.waitFor({ state: 'hidden' });
  });

  it('use the width of a desktop', async () => {
    const { page } = adas;
    await page.setViewportSize({ width: 1600, height: 900 });
    const widthOf = async (selector: string) => (await page.locator(selector).boundingBox())?.width ?? 0;
    expect(await widthOf('#message-list')).to.be.above(960);
    await page.goto('/');
    await adas.connected();
    expect(await widthOf('main')).to.be.above(1400);
    await page.goto(room);
    await page.getByRole('button', { name: 'Frames' }).click();
    const [drawer, people] = await Promise.all(
      ['#frames', 'aside'].map((selector) => page.locator(selector).boundingBox()),
    );
    expect((people?.x ?? 0) + (people?.width ?? 0), 'the drawer hides nothing').to.be.at.most(drawer?.x ?? 0);
  });

  it('meet no error', () => {
    expect(visitors.unexpectedErrors()).to.deep.equal([]);
  });
});

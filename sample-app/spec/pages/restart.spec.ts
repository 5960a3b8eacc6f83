import { randomInt } from 'node:crypto';
import { expect } from 'chai';
import { sharedBrowser } from '../support/browser.js';
import { RunningApp } from '../support/running-app.js';
import type { Tab } from '../support/tab.js';
import { TemporaryFolder } from '../support/temporary-folder.js';
import { unique } from '../support/unique.js';
import { Visitors } from '../support/visitors.js';

const TIME_FOR_PROCESSES = 120_000;

/** The system assigns higher ports to outgoing connections, and might do so while the process is down. */
const PORT = String(randomInt(20_000, 32_000));

/** The tabs stay open in all of them; the process has the same port and folder each time. */
describe('a server that is started again under open tabs', function () {
  this.timeout(TIME_FOR_PROCESSES);
  const [ada, grace] = [unique('ada'), unique('grace')];
  let folder: TemporaryFolder | undefined;
  let app: RunningApp;
  let visitors: Visitors;
  let room: string;
  let adas: Tab;
  let graces: Tab;

  before(async function () {
    const browser = await sharedBrowser(this);
    folder = new TemporaryFolder();
    app = new RunningApp({ DATA_FOLDER: folder.path, PORT, DRAIN_DELAY: '0' });
    visitors = new Visitors(browser, await app.address());
    adas = await visitors.signedUp(ada);
    room = await adas.openRoom(unique('Platform'));
    graces = await visitors.signedUp(grace, room);
    await adas.user(grace).waitFor();
  });
  after(async () => {
    await visitors?.leave();
    await app?.stop('SIGKILL');
    folder?.remove();
  });

  async function startAgain(): Promise<void> {
    app = new RunningApp({ DATA_FOLDER: folder?.path ?? '', PORT, DRAIN_DELAY: '0' });
    await app.address();
  }

  const textsIn = (tab: Tab) => tab.page.getByRole('log').locator('.text').allTextContents();

  for (const [how, signal] of [
    ['killed', 'SIGKILL'],
    ['stopped', 'SIGTERM'],
  ] as const) {
    it(`that was ${how} has them back, and they agree on what was said before, meanwhile and after`, async () => {
      const [before, meanwhile, other, afterwards] = ['before', 'meanwhile', 'other', 'after'].map(
        (text) => `${text} it was ${how}`,
      ) as [string, string, string, string];
      await adas.write(before);
      await graces.message(before).waitFor();
      await app.stop(signal);
      await Promise.all([adas, graces].map(({ page }) => page.getByText('Connection lost. Reconnecting…').waitFor()));
      await adas.write(meanwhile);

      await startAgain();
      const hoppers = await visitors.signedUp(unique('hopper'), room);
      await hoppers.write(other);
      await Promise.all([adas, graces].map((tab) => tab.connected(TIME_FOR_PROCESSES)));
      await graces.write(afterwards);
      for (const tab of [adas, graces, hoppers]) {
        for (const text of [before, meanwhile, other, afterwards]) await tab.message(text).waitFor();
        for (const name of [ada, grace]) await tab.user(name).waitFor();
      }
      expect(await textsIn(graces)).to.deep.equal(await textsIn(adas));
      expect(await textsIn(hoppers)).to.deep.equal(await textsIn(adas));
      expect(new Set(await textsIn(adas)).size).to.equal((await textsIn(adas)).length);
    });
  }
});

import { expect } from 'chai';
import { TIME_TO_OPEN } from '../support/database.js';
import type { Tab } from '../support/tab.js';
import { unique } from '../support/unique.js';
import { useVisitors } from '../support/visitors.js';

describe('a private room', function () {
  this.timeout(TIME_TO_OPEN);
  const visitors = useVisitors();
  const [ada, grace] = [unique('ada'), unique('grace')];
  let name: string;
  let path: string;
  let adas: Tab;
  let graces: Tab;

  before(async () => {
    [adas, graces] = await Promise.all([visitors.signedUp(ada), visitors.signedUp(grace)]);
  });
  describe('with its host inside', () => {
    beforeEach(async () => {
      name = unique('Signal box');
      await Promise.all([adas, graces].map(({ page }) => page.goto('/')));
      path = await adas.openRoom(name, { isPrivate: true });
      await graces.connected();
    });

    it('comes into the lobby of a new member and leaves that of a former one', async () => {
      await adas.page.getByRole('img', { name: 'Private' }).waitFor();
      await adas.addMember(grace);
      await graces.card(name).getByRole('img', { name: 'Private' }).waitFor();
      await adas.removeMember(grace);
      await graces.card(name).waitFor({ state: 'detached' });
    });

    it('does not exist for whoever is no member, save that its name is taken', async () => {
      await graces.page.getByLabel('Name of a room').fill(name);
      await graces.page.keyboard.press('Enter');
      await graces.page.getByRole('alert').getByText('This name is taken. Choose another one.').waitFor();
      await graces.page.goto(path);
      await graces.heading('There is no such room').waitFor();
    });

    it('ends at once for a member who is removed, who is told so and hears nothing of what is said next', async () => {
      await adas.addMember(grace);
      await graces.page.goto(path);
      await adas.user(grace).waitFor();
      await adas.write('Welcome');
      await graces.message('Welcome').waitFor();
      const heardBefore = graces.frames.length;

      await adas.removeMember(grace);
      await graces.heading('You were removed from this room').waitFor();
      await adas.user(grace).waitFor({ state: 'detached' });
      await adas.write('Among us');
      await adas.message('Among us').waitFor();
      await graces.caughtUp();

      const heard = graces.frames.slice(heardBefore).map((text) => JSON.parse(text).payload ?? JSON.parse(text));
      const revoked = heard.filter(({ action }) => action === 'revoked');
      // One frame for each of the two subscriptions: the users inside, and the messages.
      expect(revoked.map(({ code, response_status: status }) => [status, code])).to.deep.equal([
        [403, 'revoked'],
        [403, 'revoked'],
      ]);
      expect(new Set(revoked.map(({ request_id: id }) => id)).size).to.equal(2);
      expect(heard.filter(({ action }) => action !== 'revoked' && action !== 'ping')).to.deep.equal([]);

      expect(await graces.page.getByLabel('Message', { exact: true }).isVisible()).to.equal(false);
      await graces.page.getByRole('link', { name: 'See all rooms' }).click();
      await graces.page.getByRole('heading', { name: 'Rooms', exact: true }).waitFor();
    });

    it('is gone for a member who was removed while away', async () => {
      await adas.addMember(grace);
      await graces.page.goto(path);
      await adas.user(grace).waitFor();
      await graces.page.context().setOffline(true);
      await graces.page.getByText('You are offline').waitFor();
      await adas.removeMember(grace);
      await graces.page.context().setOffline(false);
      await graces.heading('You were removed from this room').waitFor();
    });

    it('shows its members to all of them, as they come and go, and lets its host alone choose them', async () => {
      const hopper = unique('hopper');
      await visitors.signedUp(hopper);
      await adas.addMember(grace);
      await graces.page.goto(path);
      await graces.member(ada).waitFor();
      await adas.addMember(hopper);
      await graces.member(hopper).waitFor();
      await adas.removeMember(hopper);
      await graces.member(hopper).waitFor({ state: 'detached' });
      expect(await graces.page.getByLabel('Add a member').isVisible()).to.equal(false);
      expect(await graces.page.getByRole('button', { name: /^Remove/ }).count()).to.equal(0);
    });

    it('says what is wrong with the name of a member, and is run by the keyboard alone', async () => {
      const { page } = adas;
      await page.getByLabel('Add a member').focus();
      await page.keyboard.type('nobody at all');
      await page.keyboard.press('Enter');
      await page.getByRole('alert').getByText('There is no such user.').waitFor();
      await page.keyboard.press('ControlOrMeta+a');
      await page.keyboard.type(grace);
      await page.keyboard.press('Enter');
      await adas.member(grace).waitFor();
      await page.getByRole('button', { name: `Remove ${grace}` }).focus();
      await page.keyboard.press('Enter');
      await adas.member(grace).waitFor({ state: 'detached' });
      await page.locator('#member-name:focus').waitFor();
    });
  });

  describe('after all of that', () => {
    it('has met no error and has broken no rule of the security policy', () => {
      expect(visitors.unexpectedErrors()).to.deep.equal([]);
    });
  });
});

import { expect } from 'chai';
import { TIME_TO_OPEN } from '../support/database.js';
import { unique } from '../support/unique.js';
import { useVisitors } from '../support/visitors.js';

describe('the session of a browser', function () {
  this.timeout(TIME_TO_OPEN);
  const visitors = useVisitors();

  // Pages that stay open would continue to render the changes of later specs.
  afterEach(() => visitors.leave());

  it('ends in all tabs when one of them logs out, and not in another browser', async () => {
    const [ada, grace] = [unique('ada'), unique('grace')];
    const first = await visitors.signedUp(ada);
    const room = await first.openRoom(unique('Platform'));
    const second = await visitors.anotherTab(first, '/');
    const graces = await visitors.signedUp(grace, room);
    await second.connected();
    await graces.user(ada).waitFor();

    const closed = first.closed();
    await second.page.getByRole('button', { name: 'Log out' }).click();
    await Promise.all([closed, second.heading('Welcome back').waitFor(), first.heading('Welcome back').waitFor()]);
    await graces.user(ada).waitFor({ state: 'detached' });

    await first.logIn(ada);
    await first.write('Back again');
    await graces.message('Back again').waitFor();
    await second.page.goto('/');
    await second.connected();
  });

  it('leaves no tab with the socket of who was logged in before', async () => {
    const [ada, grace] = [unique('ada'), unique('grace')];
    const password = 'correct horse battery';
    await visitors.signedUp(grace);
    const tab = await visitors.signedUp(ada);
    const adas = tab.page.locator('#me', { hasText: ada });
    await adas.waitFor();

    const closed = tab.closed();
    const answer = await tab.page.request.post('/api/log-in', { data: { username: grace, password } });
    expect(answer.status()).to.equal(200);
    await closed;
    await adas.waitFor({ state: 'detached' });
    await tab.page.goto('/');
    await tab.page.locator('#me', { hasText: grace }).waitFor();
    await tab.connected();
  });

  it('shows the end of a long user name as an ellipsis, and all of it as a title', async () => {
    const username = unique('Ada-Augusta-Countess-of-Lovelace');
    const { page } = await visitors.signedUp(username);
    const name = page.locator('#me .name');
    expect(await name.getAttribute('title')).to.equal(username);
    const isCut = `(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)(document.querySelector('#me .name'))`;
    expect(await page.evaluate(isCut)).to.equal(true);
    expect(await page.evaluate(`getComputedStyle(document.querySelector('#me .name')).textOverflow`)).to.equal(
      'ellipsis',
    );
  });

  it('meets no error and breaks no rule of the security policy', () => {
    expect(visitors.unexpectedErrors()).to.deep.equal([]);
  });
});

import { expect } from 'chai';
import { TIME_TO_OPEN } from '../support/database.js';
import { unique } from '../support/unique.js';
import { useVisitors } from '../support/visitors.js';

describe('the log-in page', function () {
  this.timeout(TIME_TO_OPEN);
  const visitors = useVisitors();

  it('says when to try again to whoever guesses a password, and keeps what was written', async () => {
    const username = unique('ada');
    await visitors.signedUp(username);
    const { page } = await visitors.visit();
    const told = page.getByRole('alert');
    const wrong = { username, password: 'not this one' };
    for (let each = 0; each < 10; each += 1) {
      const answer = await page.request.post('/api/log-in', { data: wrong });
      expect(answer.status()).to.equal(401);
    }
    await page.goto('/log-in');
    await page.getByLabel('User name').fill(username);
    await page.getByRole('textbox', { name: 'Password' }).fill('correct horse battery');
    await page.getByRole('button', { name: 'Log in' }).click();
    await told.getByText(/^Too many attempts to log in\. Try again in \d+ seconds\.$/).waitFor();
    expect(await page.getByLabel('User name').inputValue()).to.equal(username);
    expect(await page.getByRole('button', { name: 'Log in' }).isEnabled()).to.equal(true);
  });
});

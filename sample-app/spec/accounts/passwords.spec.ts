import { expect } from 'chai';
import { Passwords } from '../../src/accounts/passwords.js';

describe('Passwords', () => {
  const passwords = new Passwords();

  it('are kept as hashes of argon2id, at the least cost that OWASP advises', async () => {
    expect(await passwords.hash('correct horse battery')).to.match(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  });

  it('match their own hash, and where there is no hash none', async () => {
    const hash = await passwords.hash('correct horse battery');
    expect(await passwords.verify(hash, 'correct horse battery')).to.equal(true);
    expect(await passwords.verify(hash, 'correct horse')).to.equal(false);
    expect(await passwords.verify(undefined, 'correct horse battery')).to.equal(false);
  });
});

import { expect } from 'chai';
import { bearerToken, identityUser, path } from 'signalbox';
import { connect } from 'signalbox/testing';
import { useServer } from '../support/serving.js';
import { ApiTokens, asked, Users, WhoConsumer } from './authentication-support.js';

describe('The user of an identity', () => {
  const serve = useServer();

  async function who(headers: Record<string, string>) {
    const { app } = serve([path('/ws/', WhoConsumer, { middleware: [bearerToken(ApiTokens), identityUser(Users)] })]);
    asked.length = 0;
    await using ann = await connect(app, '/ws/', { headers });
    return (await ann.request('who')).data;
  }

  it('is loaded where the credential brought none', async () => {
    expect(await who({ authorization: 'Bearer ann' })).to.deep.include({ user: { id: '1' } });
    expect(asked).to.deep.equal(['token ann', 'user 1']);
  });

  it('is not asked for where there is one, or where no user is authenticated', async () => {
    expect(await who({ authorization: 'Bearer bob' })).to.deep.include({ user: { name: 'bob' } });
    expect(await who({})).to.deep.include({ user: null });
    expect(asked).to.deep.equal([]);
  });

  it('who is deleted is not authenticated', async () => {
    expect(await who({ authorization: 'Bearer gone' })).to.deep.include({ user: null, session: null, identity: null });
  });
});

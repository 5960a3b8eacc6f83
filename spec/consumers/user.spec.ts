import { expect } from 'chai';
import { Action, ApiConsumer, Consumer, IsAuthenticated, Permissions, path } from 'signalbox';
import { connect } from 'signalbox/testing';
import { useServer } from '../support/serving.js';

@Consumer()
@Permissions(IsAuthenticated)
class Members extends ApiConsumer {
  @Action() async me() {
    return this.user;
  }
}

@Consumer()
class Guests extends ApiConsumer {
  @Action() async me() {
    return this.user;
  }
}

describe('The user of a consumer', () => {
  const server = useServer();
  const serve = () => server([path('/members/', Members), path('/guests/', Guests)]);

  it('is the user that is logged in', async () => {
    const { app } = serve();
    await using ann = await connect(app, '/members/', { user: { id: 1 } });
    expect(await ann.request('me')).to.deep.include({ response_status: 200, data: { id: 1 } });
  });

  for (const user of [undefined, null]) {
    it(`is a 401 where no user is logged in, and the middleware says ${user}`, async () => {
      const { app } = serve();
      await using guest = await connect(app, '/guests/', { prepare: (scope) => Object.assign(scope, { user }) });
      expect(await guest.request('me')).to.deep.include({
        response_status: 401,
        code: 'not_authenticated',
        errors: ['Authentication credentials were not provided.'],
      });
    });
  }

  it('has to be loaded where a token proves an identity only, as the log says', async () => {
    const { app, logger } = serve();
    await using ann = await connect(app, '/members/', { identity: { userId: '1' } });
    expect(await ann.request('me')).to.deep.include({ response_status: 500, code: 'server_error' });
    expect(logger.at('error').map(({ fields }) => (fields['error'] as Error).message)).to.deep.equal([
      'Members: needs the user of an identity, but no middleware loads it. ' +
        'Add identityUser(Users) after the middleware that finds the identity, or use this.scope.identity.',
    ]);
  });
});

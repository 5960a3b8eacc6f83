import { expect } from 'chai';
import { type App, cookieSession, createApp, identityUser, path, type Settings } from 'signalbox';
import { connect } from 'signalbox/testing';
import { offlineOrm } from '../support/offline-orm.js';
import { refusal } from '../support/refusal.js';
import { useServer } from '../support/serving.js';
import { asked, inAnHour, MemberConsumer, Sessions, Users, WhoConsumer } from './authentication-support.js';

const page = { origin: 'https://example.org', host: 'example.org' };

describe('A cookie session', () => {
  const serve = useServer();
  let app: App;

  beforeEach(async () => {
    asked.length = 0;
    ({ app } = serve([
      path('/ws/', WhoConsumer, { middleware: [cookieSession(Sessions), identityUser(Users)] }),
      path('/members/', MemberConsumer, { middleware: [cookieSession(Sessions)] }),
      path('/other-cookie/', WhoConsumer, {
        middleware: [cookieSession(Sessions, { cookie: 'sid', withoutOrigin: true })],
      }),
    ]));
  });

  async function who(url: string, cookies: Record<string, string>, headers: Record<string, string> = page) {
    await using ann = await connect(app, url, { cookies, headers });
    return (await ann.request('who')).data;
  }

  it('gives a connection its session, its user and its identity', async () => {
    expect(await who('/ws/', { session: 'ann' })).to.deep.include({
      user: { id: '1' },
      session: { key: 's1' },
      identity: { userId: '1', sessionId: 's1', expiresAt: inAnHour.toJSON() },
    });
  });

  it('spares the query for a user that the session came with', async () => {
    expect(await who('/ws/', { session: 'bob' })).to.deep.include({ user: { name: 'bob' }, identity: { userId: '2' } });
    expect(asked).to.deep.equal(['session bob']);
  });

  for (const [name, cookies] of [
    ['no cookie', {}],
    ['an empty one', { session: '' }],
    ['one that nobody knows', { session: 'nobody' }],
    ['one whose session is over', { session: 'old' }],
    ['one whose user is gone', { session: 'gone' }],
  ] as const) {
    it(`is no user with ${name}`, async () => {
      expect(await who('/ws/', cookies)).to.deep.include({ user: null, session: null, identity: null });
    });
  }

  it('is asked for by permissions: 401 where no user is logged in', async () => {
    expect(await refusal(app, '/members/', { cookies: { session: 'nobody' }, headers: page })).to.include({
      status: 401,
    });
    expect(await who('/members/', { session: 'ann' })).to.deep.nested.include({ 'identity.userId': '1' });
  });

  it('is refused without an Origin header, unasked, unless the application allows it', async () => {
    expect(await refusal(app, '/ws/', { cookies: { session: 'ann' } })).to.include({
      status: 403,
      message: 'A session cookie is only accepted together with an Origin header.',
    });
    expect(asked).to.deep.equal([]);
    expect(await who('/ws/', {}, {})).to.deep.include({ identity: null });
    expect(await who('/other-cookie/', { session: 'bob', sid: 'ann' }, {})).to.deep.nested.include({
      'identity.userId': '1',
    });
  });

  it('is refused to pages of other sites, unasked', async () => {
    const headers = { origin: 'https://evil.example', host: 'example.org' };
    expect(await refusal(app, '/ws/', { cookies: { session: 'ann' }, headers })).to.include({ status: 403 });
    expect(asked).to.deep.equal([]);
  });

  it('cannot stand where any page may connect', async () => {
    const orm = await offlineOrm();
    const settings: Partial<Settings> = { origins: 'any' };
    const middleware = [cookieSession(Sessions)];
    const make = () => createApp({ orm, settings, middleware, routes: [path('/ws/', WhoConsumer)] });
    expect(make)
      .to.throw()
      .with.property(
        'message',
        'createApp./ws/: logs users in by the cookie "session", but the setting origins is "any": every page could act for them. List the origins that may connect.',
      );
  });

  it('needs a store that the container can build', async () => {
    class Bare extends Sessions {
      constructor(readonly clock: Date) {
        super();
      }
    }
    const orm = await offlineOrm();
    const make = () => createApp({ orm, routes: [path('/ws/', WhoConsumer, { middleware: [cookieSession(Bare)] })] });
    expect(make)
      .to.throw()
      .with.property(
        'message',
        'Bare: has 1 constructor parameter, but no decorator of its own recorded its type, so the container would pass nothing to it: CookieSession -> Bare. Put @injectable() on it, or register an instance: container.registerInstance(Bare, …). If it has a decorator, its compiler left the types out, as tsx and esbuild do: compile with tsc, or name what to inject: @inject(TheClass).',
      );
  });
});

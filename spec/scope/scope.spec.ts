import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Conflict,
  Consumer,
  type HandshakeRequest,
  type Permission,
  Permissions,
  path,
  Scope,
  type ScopeMiddleware,
} from 'signalbox';
import { connect, MemoryLogger } from 'signalbox/testing';
import { container, injectable } from 'tsyringe';
import { useServer } from '../support/serving.js';

function scopeOf(request: Partial<HandshakeRequest>, params: Record<string, string> = {}): Scope {
  return new Scope({ url: '/', headers: {}, ...request }, params, container.createChildContainer());
}

describe('A scope', () => {
  it('has the facts of the handshake', () => {
    const headers = { 'user-agent': 'spec', 'x-forwarded-for': ['10.0.0.1', '10.0.0.2'] };
    const scope = scopeOf(
      { url: '/ws/rooms/4/?page=2&tag=a&tag=b', headers, remoteAddress: '127.0.0.1' },
      { room: '4' },
    );
    expect(scope.path).to.equal('/ws/rooms/4/');
    expect(scope.params).to.deep.equal({ room: '4' });
    expect(scope.query.get('page')).to.equal('2');
    expect(scope.query.getAll('tag')).to.deep.equal(['a', 'b']);
    expect(scope.headers).to.equal(headers);
    expect(scope.remoteAddress).to.equal('127.0.0.1');
  });

  it('has no user, no session and no identity until a middleware sets them', () => {
    const scope = scopeOf({});
    expect(scope.user).to.equal(undefined);
    expect(scope.session).to.equal(undefined);
    expect(scope.identity).to.equal(undefined);
    scope.user = { id: 1 };
    scope.session = { key: 'k' };
    expect(scope).to.deep.include({ user: { id: 1 }, session: { key: 'k' } });
  });

  const cookies: readonly [string, string | string[] | undefined, Record<string, string>][] = [
    ['no header', undefined, {}],
    ['an empty header', '', {}],
    ['one', 'session=abc', { session: 'abc' }],
    ['several', 'a=1; b=2;c=3', { a: '1', b: '2', c: '3' }],
    ['an equals sign in a value', 'token=a=b==', { token: 'a=b==' }],
    ['an empty value', 'a=; b=2', { a: '', b: '2' }],
    ['quotes', 'a="quoted"; b="half', { a: 'quoted', b: '"half' }],
    ['percent signs', 'a=%C3%A4%20; b=100%', { a: 'ä ', b: '100%' }],
    ['the same name twice', 'a=first; a=second', { a: 'first' }],
    ['a name alone', 'alone; b=2', { b: '2' }],
    ['a value alone', '=value; b=2', { b: '2' }],
    ['stray semicolons', ';;a=1;;', { a: '1' }],
    ['spaces around', '  a  =  1  ; b = 2 ', { a: '1', b: '2' }],
    ['several headers', ['a=1', 'b=2'], { a: '1', b: '2' }],
    ['names of Object.prototype', 'toString=1; constructor=2', { toString: '1', constructor: '2' }],
    ['an escape that no database takes', 'a=%00; b=1', { a: '%00', b: '1' }],
  ];
  for (const [name, cookie, expected] of cookies) {
    it(`reads cookies: ${name}`, () => {
      expect({ ...scopeOf({ headers: { cookie } }).cookies }).to.deep.equal(expected);
    });
  }

  it('has no cookies that the client did not send', () => {
    const sent = scopeOf({ headers: { cookie: '__proto__=1' } }).cookies;
    expect(sent['toString']).to.equal(undefined);
    expect(Object.keys(sent)).to.deep.equal(['__proto__']);
  });
});

let told: string[] = [];

/** One for each connection, wherever it is asked for. */
@injectable()
class Visit {
  constructor(readonly scope: Scope) {
    told.push(`visit of ${scope.query.get('name')}`);
  }

  async dispose(): Promise<void> {
    const name = this.scope.query.get('name');
    await null;
    if (name === 'stuck') throw new Error('Cannot be disposed.');
    told.push(`end of ${name}`);
  }
}

@injectable()
class LogIn implements ScopeMiddleware {
  constructor(private readonly visit: Visit) {}

  async apply(scope: Scope): Promise<void> {
    await null;
    told.push('log in');
    scope.user = { name: this.visit.scope.query.get('name') };
  }
}

@injectable()
class Greet implements ScopeMiddleware {
  apply(scope: Scope): void {
    told.push('greet');
    scope.session = { greeting: `Hello ${JSON.stringify(scope.user)}` };
    if (scope.query.has('full')) throw new Conflict('Full.');
  }
}

@injectable()
class NotBanned implements Permission {
  constructor(private readonly scope: Scope) {}

  canConnect(scope: Scope): boolean {
    expect(this.scope).to.equal(scope);
    return !scope.query.has('banned');
  }
}

@Permissions(NotBanned)
@Consumer()
class VisitConsumer extends ApiConsumer {
  constructor(readonly injected: Scope) {
    super();
  }

  @Action()
  async show({ scope }: ActionContext) {
    return { user: scope.user, session: scope.session, isOne: scope === this.injected && scope === this.scope };
  }
}

describe('The scope of a connection', () => {
  const serve = useServer();
  let logger: MemoryLogger;
  let app: App;

  beforeEach(() => {
    told = [];
    ({ app, logger } = serve([path('/visit/', VisitConsumer)], { middleware: [LogIn, Greet] }));
  });

  it('goes through the middleware in its order, each awaited', async () => {
    await using ann = await connect(app, '/visit/?name=ann');
    expect(told).to.deep.equal(['visit of ann', 'log in', 'greet']);
    expect(await ann.request('show')).to.deep.include({
      data: { user: { name: 'ann' }, session: { greeting: 'Hello {"name":"ann"}' }, isOne: true },
    });
  });

  it('is injected into the providers of its connection, and of no other', async () => {
    await using ann = await connect(app, '/visit/?name=ann');
    await using bob = await connect(app, '/visit/?name=bob');
    expect(await ann.request('show')).to.deep.nested.include({ 'data.user': { name: 'ann' }, 'data.isOne': true });
    expect(await bob.request('show')).to.deep.nested.include({ 'data.user': { name: 'bob' }, 'data.isOne': true });
  });

  it('ends with its connection, providers and all', async () => {
    await using ann = await connect(app, '/visit/?name=ann');
    await using bob = await connect(app, '/visit/?name=bob');
    ann.close();
    await ann.ended;
    expect(told.filter((fact) => fact.startsWith('end'))).to.deep.equal(['end of ann']);
    expect(await bob.request('show')).to.include({ response_status: 200 });
  });

  for (const [who, query] of [
    ['a middleware', 'full'],
    ['a permission', 'banned'],
  ]) {
    it(`has ended when ${who} has refused`, async () => {
      const error = await connect(app, `/visit/?name=ann&${query}`).catch((thrown: unknown) => thrown);
      expect(error).to.have.property('status').that.is.oneOf([403, 409]);
      expect(told.at(-1)).to.equal('end of ann');
    });

    it(`does not hide what ${who} refused with when a provider cannot be disposed`, async () => {
      const error = await connect(app, `/visit/?name=stuck&${query}`).catch((thrown: unknown) => thrown);
      expect(error).to.have.property('status').that.is.oneOf([403, 409]);
      expect(logger.at('error').map(({ message }) => message)).to.deep.equal([
        'A provider of a connection could not be disposed.',
      ]);
    });
  }

  it('is told to have ended where a provider cannot be disposed', async () => {
    await using ann = await connect(app, '/visit/?name=stuck');
    ann.close();
    await ann.ended;
    expect(logger.at('error').map(({ message, fields }) => [message, fields['path']])).to.deep.equal([
      ['A provider of a connection could not be disposed.', '/visit/'],
    ]);
  });
});

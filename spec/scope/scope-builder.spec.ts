import type { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  type AppOptions,
  Conflict,
  Consumer,
  createApp,
  Logger,
  type Permission,
  Permissions,
  path,
  type Route,
  Scope,
  type ScopeMiddleware,
} from 'signalbox';
import { connect, MemoryLogger } from 'signalbox/testing';
import { container, injectable } from 'tsyringe';
import { offlineOrm } from '../support/offline-orm.js';

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
  let orm: MikroORM;
  let logger: MemoryLogger;
  let app: App;

  before(async () => {
    orm = await offlineOrm();
  });
  beforeEach(() => {
    told = [];
    logger = new MemoryLogger();
    app = open();
  });
  afterEach(() => app.close());
  after(() => orm.close(true));

  function open(options: Partial<AppOptions<readonly Route[]>> = {}): App {
    const child = container.createChildContainer();
    child.registerInstance(Logger, logger);
    const routes = [path('/visit/', VisitConsumer)];
    return createApp({ orm, container: child, routes, middleware: [LogIn, Greet], ...options });
  }

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

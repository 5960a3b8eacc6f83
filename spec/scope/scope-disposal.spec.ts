import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type AppOptions,
  Conflict,
  Consumer,
  Detached,
  type Permission,
  Permissions,
  path,
  type Route,
  Scope,
  type ScopeMiddleware,
} from 'signalbox';
import { connect, type MemoryLogger } from 'signalbox/testing';
import { injectable, Lifecycle, scoped, singleton } from 'tsyringe';
import { useServer } from '../support/serving.js';

let told: string[] = [];

@scoped(Lifecycle.ContainerScoped)
class Wire implements AsyncDisposable {
  async [Symbol.asyncDispose](): Promise<void> {
    await null;
    told.push('wire');
  }
}

@scoped(Lifecycle.ContainerScoped)
class Ledger implements Disposable {
  constructor(
    readonly wire: Wire,
    readonly em: EntityManager,
  ) {}

  [Symbol.dispose](): void {
    // Only inside a request context.
    this.em.getContext();
    told.push('ledger');
  }
}

@injectable()
class Desk {
  constructor(readonly ledger: Ledger) {}

  async dispose(): Promise<void> {
    await null;
    told.push('desk');
  }
}

@injectable()
class Faulty {
  constructor(readonly desk: Desk) {}

  dispose(): void {
    told.push('faulty');
    throw new Error('Cannot be disposed.');
  }
}

@injectable()
class Keyed {
  dispose(key: string): void {
    told.push(`keyed ${key}`);
  }
}

@singleton()
class Office {
  dispose(): void {
    told.push('office');
  }
}

@Consumer()
class DeskConsumer extends ApiConsumer {
  readonly begun = Promise.withResolvers<void>();

  constructor(
    readonly faulty: Faulty,
    readonly keyed: Keyed,
  ) {
    super();
  }

  protected override async onDisconnect(): Promise<void> {
    await null;
    told.push('disconnected');
  }

  @Action()
  async late({ scope }: ActionContext) {
    return scope.container.resolve(Office) instanceof Office;
  }

  @Action()
  async work({ signal }: ActionContext) {
    this.sendJson('begun');
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    for (let turn = 0; turn < 20; turn += 1) await null;
    told.push('worked');
  }

  @Action()
  async begin() {
    await this.tidy();
  }

  @Detached()
  protected async tidy() {
    await new Promise((resolve) => this.signal.addEventListener('abort', resolve));
    for (let turn = 0; turn < 50; turn += 1) await null;
    told.push('tidied');
  }

  @Action()
  async sleep() {
    this.sendJson('begun');
    await new Promise<never>(() => {});
  }
}

@injectable()
class NotFull implements Permission {
  constructor(readonly desk: Desk) {}

  canConnect({ query }: Scope): boolean {
    return !query.has('full');
  }
}

@Permissions(NotFull)
@Consumer()
class GuardedConsumer extends ApiConsumer {}

@injectable()
class OpensDesk implements ScopeMiddleware {
  constructor(readonly desk: Desk) {}

  apply({ query }: Scope): void {
    if (query.has('conflict')) throw new Conflict();
  }
}

describe('The providers of a connection', () => {
  const serve = useServer();
  let logger: MemoryLogger;

  beforeEach(() => {
    told = [];
  });

  function open(options: Partial<AppOptions<readonly Route[]>> = {}) {
    const served = serve([path('/', DeskConsumer), path('/guarded/', GuardedConsumer)], options);
    logger = served.logger;
    return served.app;
  }

  it('are disposed at its end, the last that was built first, each awaited, after the disconnect hook', async () => {
    const app = open();
    await using ann = await connect(app, '/');
    ann.close();
    await ann.ended;
    expect(told).to.deep.equal(['disconnected', 'faulty', 'desk', 'ledger', 'wire']);
  });

  it('are disposed although one of them fails, which is logged', async () => {
    const app = open();
    await using ann = await connect(app, '/');
    ann.close();
    await ann.ended;
    expect(logger.at('error').map(({ message, fields }) => [message, fields['provider']])).to.deep.equal([
      ['A provider of a connection could not be disposed.', 'Faulty'],
    ]);
  });

  for (const query of ['full', 'conflict']) {
    it(`are disposed where the handshake is refused (${query})`, async () => {
      const app = open({ middleware: [OpensDesk] });
      const refused = await connect(app, `/guarded/?${query}`).catch((error: unknown) => error);
      expect(refused).to.have.property('status').that.is.oneOf([401, 409]);
      expect(told.slice(-3)).to.deep.equal(['desk', 'ledger', 'wire']);
    });
  }

  it('outlive the work that was abandoned', async () => {
    const app = open();
    await using ann = await connect(app, '/');
    ann.send({ action: 'work', request_id: 1 });
    await ann.receive();
    ann.close();
    await ann.ended;
    expect(told.indexOf('worked')).to.be.greaterThan(-1).and.lessThan(told.indexOf('faulty'));
  });

  it('outlive its detached methods', async () => {
    const app = open();
    await using ann = await connect(app, '/');
    await ann.request('begin');
    ann.close();
    await ann.ended;
    expect(told).to.deep.equal(['disconnected', 'tidied', 'faulty', 'desk', 'ledger', 'wire']);
  });

  it('are disposed although abandoned work never ends, which is logged', async () => {
    const app = open({ settings: { closeTimeout: 20 } });
    await using ann = await connect(app, '/');
    ann.send({ action: 'sleep', request_id: 1 });
    await ann.receive();
    ann.close();
    await ann.ended;
    expect(told).to.deep.equal(['disconnected', 'faulty', 'desk', 'ledger', 'wire']);
    expect(logger.at('warn').map(({ message }) => message)).to.deep.equal([
      'Work of a connection continues after its end: observe context.signal.',
    ]);
  });

  it('never are singletons, though a connection be the first to ask', async () => {
    const app = open();
    await using ann = await connect(app, '/');
    expect(await ann.request('late')).to.include({ data: true });
    ann.close();
    await ann.ended;
    expect(told).not.to.include('office');
  });
});

import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import { IsInt } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  Consumer,
  Logger,
  Observer,
  type Permission,
  Permissions,
  path,
  reply,
  type Scope,
  type ScopeMiddleware,
  Serializer,
  Signal,
  type SignalEvent,
  type Subscription,
} from 'signalbox';
import { injectable, container as rootContainer } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { refusalOf, SocketClient } from '../support/sockets.js';
import { secret, type Thrown, thrown } from './hostile-errors.js';
import { ask, Served } from './served.js';

class Index {
  @IsInt() index!: number;
}

/** Throws what stands in the table at this place. */
async function fail(em: EntityManager, index: unknown): Promise<void> {
  await thrown[Number(index)]?.throw(em);
}

@injectable()
class FailingPermission implements Permission {
  constructor(private readonly em: EntityManager) {}

  async hasPermission({ kwargs, action }: ActionContext) {
    if (action === 'permitted') await fail(this.em, kwargs['index']);
    return true;
  }

  async canConnect({ query }: Scope) {
    if (query.has('connect')) await fail(this.em, query.get('connect'));
    return true;
  }
}

@injectable()
class FailingSerializer extends Serializer<Index, object> {
  constructor(private readonly em: EntityManager) {
    super();
  }

  async toData({ index }: Index) {
    await fail(this.em, index);
    return {};
  }
}

@injectable()
class FailingMiddleware implements ScopeMiddleware {
  constructor(private readonly em: EntityManager) {}

  async apply({ query }: Scope) {
    if (query.has('middleware')) await fail(this.em, query.get('middleware'));
  }
}

const rung = new Signal<Index>();

@Consumer()
@Permissions(FailingPermission)
class Failing extends ApiConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action()
  async act({ index }: Index) {
    await fail(this.em, index);
  }

  @Action({ atomic: true })
  async actAtomically({ index }: Index) {
    await fail(this.em, index);
  }

  @Action()
  async permitted(_kwargs: Index) {}

  @Action()
  async shown(index: Index) {
    return reply(index, { serializer: FailingSerializer });
  }

  @Action()
  async *parts({ index }: Index) {
    yield 1;
    await fail(this.em, index);
  }

  @Action({ detached: true })
  async leave({ index }: Index, { signal }: ActionContext) {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    await fail(this.em, index);
  }

  @Action({ status: 201 })
  async listen(context: ActionContext) {
    await this.subscribe(this.onRung, {}, context);
  }

  @Observer(rung)
  async onRung(event: SignalEvent<Index>, subscription: Subscription<object>) {
    if (event.data.index < 0) return subscription.send({ ...event, data: 'rung' });
    await fail(this.em, event.data.index);
  }

  protected override async onConnect() {
    const { query } = this.scope;
    if (query.has('hook')) await fail(this.em, query.get('hook'));
  }
}

const correlation = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/;
const unforeseen = {
  status: 500,
  code: 'server_error',
  errors: ['A server error occurred. Correlation id: <id>.'],
};

/** The actions that meet the error at different steps of their way. */
const actions = ['act', 'act_atomically', 'permitted', 'shown', 'parts'];

describe('What was thrown', () => {
  const database = useDatabase('security_errors');
  const lines: string[] = [];
  let served: Served;

  before(async () => {
    const em = database.orm.em.fork();
    await em.execute(`alter table room add constraint no_exclamation check (name not like '%!')`);
    const container = rootContainer.createChildContainer();
    container.registerInstance(Logger, new Logger('debug', (line) => lines.push(line)));
    served = await Served.by(database.orm, [path('/failing/', Failing)], {
      container,
      middleware: [FailingMiddleware],
    });
  });
  after(() => served[Symbol.asyncDispose]());
  beforeEach(() => void lines.splice(0));

  /** The log has one JSON object a line, and names the correlation id if there is one. */
  function expectLogged(told: string): void {
    const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const [id] = correlation.exec(told) ?? [];
    const logged = entries.filter(({ correlationId }) => correlationId === id);
    if (id) expect(logged.map((entry) => 'error' in entry)).to.deep.equal([true]);
    else expect(entries.filter(({ level }) => level === 'error')).to.deep.equal([]);
  }

  function frameOf({ told = unforeseen }: Thrown, action: string | null, id: unknown): string {
    const errors = JSON.stringify(told.errors);
    return `{"errors":${errors},"data":null,"action":${JSON.stringify(action)},"response_status":${told.status},"request_id":${id},"code":"${told.code}"}`;
  }

  async function textOf(client: SocketClient, frame: object): Promise<string> {
    return JSON.stringify(await ask(client, frame));
  }

  for (const [index, each] of thrown.entries()) {
    describe(each.name, () => {
      it(`is answered with nothing of it in ${actions.join(', ')}`, async () => {
        await using ann = await served.open('/failing/');
        for (const action of actions) {
          ann.send({ action, request_id: 1, index });
          if (action === 'parts') expect(await ann.receive()).to.include({ response_status: 206 });
          const text = JSON.stringify(await ann.receive());
          expect(text.replace(correlation, '<id>')).to.equal(frameOf(each, action, 1));
          expectLogged(text);
        }
      });

      it('is answered with nothing of it in onConnect, to each request', async () => {
        await using ann = await served.open(`/failing/?hook=${index}`);
        for (const id of [1, 2]) {
          const text = await textOf(ann, { action: 'act', request_id: id, index: -1 });
          expect(text.replace(correlation, '<id>')).to.equal(frameOf(each, 'act', id));
          expectLogged(text);
        }
      });

      it('refuses the upgrade with nothing of it in middleware and canConnect', async () => {
        for (const place of ['middleware', 'connect']) {
          const { status, sentence } = await refusalOf(served.url(`/failing/?${place}=${index}`));
          const { told = unforeseen } = each;
          expect(status).to.equal(told.status);
          const [error] = told.errors;
          const expected =
            typeof error === 'string'
              ? error
              : { 409: 'The request conflicts with the current state.', 400: 'Invalid input.' }[status];
          expect(sentence.replace(correlation, '<id>')).to.equal(expected);
          expectLogged(sentence);
        }
      });

      const outcome = each.isPassing ? 'its client is told to read anew' : 'the next event comes';
      it(`is sent to no client from an observer, and ${outcome}`, async () => {
        await using ann = await served.open('/failing/');
        expect(await textOf(ann, { action: 'listen', request_id: 1 })).to.include('"response_status":201');
        rung.send({ index });
        rung.send({ index: -1 });
        if (each.isPassing) expect(await ann.closed).to.equal(1013);
        else expect(await ann.receive()).to.deep.include({ data: 'rung', request_id: 1 });
        expect(lines.filter((line) => line.includes('"level":"error"'))).to.have.length(1);
      });

      it('harms no request when it comes after its own was cancelled', async () => {
        await using ann = await served.open('/failing/');
        ann.send({ action: 'leave', request_id: 1, index });
        ann.send({ action: 'cancel', request_id: 2, target: 1 });
        const frames = [await ann.receive(), await ann.receive()].map(({ response_status }) => response_status);
        expect(frames).to.deep.equal([200, 499]);
        await served.app.idle();
        expect(await textOf(ann, { action: 'listen', request_id: 3 })).to.include('"response_status":201');
      });
    });
  }

  it('never leaves the secret, SQL, a table, a class or a path with a client', () => {
    const expected = thrown.map((each) => frameOf(each, 'act', 1)).join('\n');
    for (const word of [secret, 'select', 'insert', 'room', 'Room', 'Exception', '.ts', '.js', '    at '])
      expect(expected).not.to.include(word);
  });
});

import { AsyncLocalStorage } from 'node:async_hooks';
import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  createApp,
  type Delivery,
  Logger,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  Observer,
  type Permission,
  Permissions,
  path,
  Signal,
  type SignalEvent,
  type Subscription,
  type TraceAttributes,
  Tracer,
  type TraceSpan,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { Message, Room } from '../support/entities.js';
import { testProviders } from '../support/providers.js';

/** Numbers its traces, and keeps what ends. */
class CountingTracer extends Tracer {
  readonly ended: [name: string, traceId: string, cause: string | undefined, status: number | undefined][] = [];
  readonly #active = new AsyncLocalStorage<string>();
  #count = 0;

  override run<T>(name: string, _: TraceAttributes, work: (span: TraceSpan) => T): T {
    return this.#trace(name, undefined, work);
  }

  override deliver<T>(name: string, _: TraceAttributes, cause: string, work: (span: TraceSpan) => T): T {
    return this.#trace(name, cause, work);
  }

  #trace<T>(name: string, cause: string | undefined, work: (span: TraceSpan) => T): T {
    const traceId = traceOf(++this.#count);
    const end = (status: number | undefined) => this.ended.push([name, traceId, cause, status]);
    return this.#active.run(parentOf(traceId), () => work({ traceId, end }));
  }

  override current(): string | undefined {
    return this.#active.getStore();
  }
}

const traceOf = (number: number): string => String(number).padStart(32, '0');
const parentOf = (traceId: string): string => `00-${traceId}-00000000000000aa-01`;

const said = new Signal<{ text: string }>();

@injectable()
class MessageSerializer extends ModelSerializer(Message, { fields: ['text'] }) {}

@injectable()
class MayHear implements Permission {
  hasPermission() {
    return true;
  }

  canReceive({ data }: Delivery) {
    const { text } = data as { text?: string };
    if (text === 'broken') throw new Error('canReceive');
    return text !== 'secret';
  }
}

@Consumer()
@Permissions(MayHear)
class ChatConsumer extends ApiConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action({ status: 201 })
  async follow(context: ActionContext) {
    await this.subscribe(this.onMessage, {}, context);
    await this.subscribe(this.onSaid, {}, context);
  }

  @Action()
  say({ kwargs }: ActionContext) {
    this.em.create(Message, { room: 1, text: String(kwargs['text']) });
  }

  @Action()
  async shout() {
    said.send({ text: 'hi' });
  }

  @ModelObserver(() => Message, { serializer: MessageSerializer })
  async onMessage(event: ModelEvent<MessageSerializer>, subscription: Subscription) {
    await subscription.send(event);
  }

  @Observer(said)
  async onSaid(event: SignalEvent<{ text: string }>, subscription: Subscription) {
    await subscription.send(event);
  }
}

describe('Traces', () => {
  const database = useDatabase('traces');
  let app: App;
  let tracer: CountingTracer;
  let lines: string[];

  afterEach(() => app.close());

  async function follow(traced: Tracer = tracer): Promise<TestConnection> {
    const { container } = testProviders();
    container.registerInstance(Tracer, traced);
    container.registerInstance(Logger, new Logger('info', (line) => lines.push(line)));
    const settings = { development: false, log: { actions: 'all' as const } };
    const routes = [path('/', ChatConsumer)];
    app = createApp({ orm: database.orm, container, routes, settings });
    const ann = await connect(app, '/');
    await ann.request('follow', { request_id: 'f' });
    return ann;
  }

  beforeEach(async () => {
    const em = database.orm.em.fork();
    em.create(Room, { id: 1, name: 'red' });
    await em.flush();
    tracer = new CountingTracer();
    lines = [];
  });

  const causes = async (): Promise<unknown[]> => {
    const entries = await database.orm.em
      .fork()
      .execute<{ entries: string }[]>('select entries from signalbox.log order by id desc limit 1');
    return entries.map((row) => JSON.parse(row.entries).cause);
  };
  const deliveries = (): unknown[] => tracer.ended.filter(([name]) => name.startsWith('deliver'));
  const line = (message: string): Record<string, unknown> => {
    const [found] = lines.map((each) => JSON.parse(each)).filter((each) => each.message === message);
    return found;
  };

  it('of a delivery name the one of the action that committed the change', async () => {
    await using ann = await follow();
    await ann.request('say', { text: 'hi' });
    expect(await ann.receive()).to.deep.include({ action: 'create', data: { text: 'hi' } });
    await app.idle();
    expect(await causes()).to.deep.equal([parentOf(traceOf(2))]);
    expect(deliveries()).to.deep.equal([['deliver ChatConsumer.onMessage', traceOf(3), parentOf(traceOf(2)), 200]]);
  });

  it('of a delivery name the one in which a signal was sent, or code outside of every connection committed', async () => {
    await using ann = await follow();
    await ann.request('shout');
    expect(await ann.receive()).to.include({ action: 'on_said' });
    await tracer.run('a page', {}, async () => {
      const em = database.orm.em.fork();
      em.create(Message, { room: 1, text: 'by HTTP' });
      await em.flush();
    });
    expect(await ann.receive()).to.deep.include({ data: { text: 'by HTTP' } });
    await app.idle();
    expect(deliveries()).to.deep.equal([
      ['deliver ChatConsumer.onSaid', traceOf(3), parentOf(traceOf(2)), 200],
      ['deliver ChatConsumer.onMessage', traceOf(5), parentOf(traceOf(4)), 200],
    ]);
  });

  it('of both stand in the log where a delivery is refused, or fails', async () => {
    await using ann = await follow();
    await ann.request('say', { text: 'secret' });
    await app.idle();
    await ann.request('say', { text: 'broken' });
    await app.idle();
    await ann.expectSilence();
    expect(line('A delivery was refused.')).to.include({ trace: traceOf(3), cause: traceOf(2) });
    expect(deliveries()).to.deep.equal([
      ['deliver ChatConsumer.onMessage', traceOf(3), parentOf(traceOf(2)), 403],
      ['deliver ChatConsumer.onMessage', traceOf(5), parentOf(traceOf(4)), 500],
    ]);
  });

  it('leave nothing in the change log and in the lines of the log where nothing is traced', async () => {
    await using ann = await follow(new Tracer());
    await ann.request('say', { text: 'secret' });
    await app.idle();
    await ann.expectSilence();
    expect(await causes()).to.deep.equal([undefined]);
    expect(line('A delivery was refused.')).to.not.have.any.keys('trace', 'cause');
  });

  it('that fail cost no commit', async () => {
    class BrokenTracer extends Tracer {
      override current(): never {
        throw new Error('No exporter.');
      }
    }
    await using ann = await follow(new BrokenTracer());
    expect(await ann.request('say', { text: 'hi' })).to.include({ response_status: 200 });
    expect(await ann.receive()).to.deep.include({ action: 'create', data: { text: 'hi' } });
    expect(line('The tracer failed.')).to.include({ level: 'error' });
  });
});

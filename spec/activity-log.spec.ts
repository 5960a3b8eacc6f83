import { expect } from 'chai';
import {
  Action,
  ActionContext,
  type App,
  Clock,
  Consumer,
  Create,
  createApp,
  type Delivery,
  demultiplexer,
  type GivenSettings,
  GroupsForConsumer,
  GroupsForSignal,
  List,
  Logger,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  mix,
  ObserveInstance,
  type Permission,
  PermissionDenied,
  Permissions,
  path,
  RevokedBy,
  Signal,
  type Subscription,
  ValidationFailed,
} from 'signalbox';
import { connect, MemoryLogger, type TestChannel, TestClock } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { BellObserver, bells } from './support/bells.js';
import { useDatabase } from './support/database.js';
import { Message, Room } from './support/entities.js';
import { type TestProviders, testProviders } from './support/providers.js';
import { RoomKey, RoomMessageSerializer, RoomSerializer } from './support/rooms.js';

const left = new Signal<{ readonly room: number }>();
let banned = new Set<string>();

class IsWelcome implements Permission {
  hasPermission({ action, scope }: ActionContext): boolean {
    return action !== 'list' || scope.query.get('name') !== 'stranger';
  }

  canReceive({ scope, data }: Delivery): boolean {
    if (JSON.stringify(data).includes('thrown')) throw new PermissionDenied('Not this one.');
    return !banned.has(scope.query.get('name') ?? '');
  }
}

@Consumer()
@injectable()
@Permissions(IsWelcome)
class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), List, Create) {
  constructor(private readonly clock: Clock) {
    super();
  }

  @Action({ status: 201 })
  async follow({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onMessage, { room }, context);
  }

  @Action()
  async dawdle() {
    (this.clock as TestClock).advance(5);
  }

  @Action()
  async refuse() {
    throw ValidationFailed.of({ password: ['Too short.'], text: ['Too long.'] });
  }

  @Action()
  async fail() {
    throw new TypeError('Broken.');
  }

  @ModelObserver(() => Message, { serializer: RoomMessageSerializer })
  async onMessage(event: ModelEvent<RoomMessageSerializer>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }

  @GroupsForSignal('onMessage')
  protected *groupsOfMessage({ room }: Message) {
    yield `room-${room.id}`;
  }

  @GroupsForConsumer('onMessage')
  protected *groupsOfRoom({ room }: RoomKey) {
    yield `room-${room}`;
  }
}

@Consumer()
class VisibleConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), ObserveInstance) {
  protected override getQuery() {
    return { archived: false };
  }
}

class IsMember implements Permission {
  hasPermission({ scope }: ActionContext): boolean {
    return !banned.has(scope.query.get('name') ?? '');
  }
}

@Consumer()
class BellConsumer extends BellObserver {}

@Consumer()
@Permissions(IsMember)
class MemberConsumer extends BellConsumer {
  @RevokedBy('onBell', left)
  protected *groupsLeft() {
    yield 'all';
  }
}

const routes = [
  path('/ws/', demultiplexer({ rooms: RoomConsumer, visible: VisibleConsumer })),
  path('/bells/', BellConsumer),
  path('/members/', MemberConsumer),
];

describe('The activity log', () => {
  const database = useDatabase('activity_log');
  const opened: App[] = [];
  let providers: TestProviders;

  beforeEach(() => {
    banned = new Set();
  });
  afterEach(() => Promise.all(opened.splice(0).map((app) => app.close())));

  function start(settings: GivenSettings = { development: true, log: { actions: 'all' } }): App {
    providers = testProviders();
    const app = createApp({ orm: database.orm, container: providers.container, routes, settings });
    opened.push(app);
    return app;
  }

  /** What was logged since the last call, without the details that have no place in a line. */
  function lines(): string[] {
    return providers.logger.entries.splice(0).map(({ message }) => message);
  }

  /** Likewise, once the events of the last commits have been counted. */
  async function linesOfEvents(app: App): Promise<string[]> {
    await app.idle();
    providers.clock.advance(20);
    return lines();
  }

  async function write(...texts: string[]): Promise<void> {
    const em = database.orm.em.fork();
    const room = await em.findOneOrFail(Room, 1);
    for (const text of texts) em.create(Message, { room, text });
    await em.flush();
  }

  async function addRoom(): Promise<void> {
    const em = database.orm.em.fork();
    em.create(Room, { id: 1, name: 'lobby' });
    await em.flush();
  }

  async function follow(channel: TestChannel, id: number, room = 1): Promise<void> {
    expect(await channel.request('follow', { request_id: id, room })).to.include({ response_status: 201 });
  }

  describe('of requests', () => {
    it('is one line for each, with its stream, id, status and duration', async () => {
      await using ann = await connect(start(), '/ws/');
      const rooms = ann.channel('rooms');
      await rooms.request('list', { request_id: 42 });
      await rooms.request('create', { request_id: 'a-1', data: { name: 'lobby' } });
      expect(lines()).to.deep.equal(['list rooms #42 200 0 ms', 'create rooms #a-1 201 0 ms']);
    });

    it('names the consumer where the route has no streams', async () => {
      await using ann = await connect(start(), '/bells/');
      ann.send({ action: 'listen', request_id: null });
      await ann.receive();
      expect(lines()).to.deep.equal(['listen BellConsumer 400 0 ms']);
    });

    it('says what was wrong with it, and what a developer may change', async () => {
      await using ann = await connect(start(), '/ws/?name=stranger');
      const rooms = ann.channel('rooms');
      await rooms.request('refuse', { request_id: 1 });
      await rooms.request('retrive', { request_id: 2 });
      await rooms.request('list', { request_id: 3 });
      expect(providers.logger.entries).to.deep.equal([
        {
          level: 'info',
          message: 'refuse rooms #1 400 0 ms',
          fields: {
            status: 400,
            code: 'validation_failed',
            errors: [{ password: '[redacted]', text: ['Too long.'] }],
          },
        },
        {
          level: 'info',
          message: 'retrive rooms #2 405 0 ms',
          fields: { status: 405, code: 'action_not_found', errors: ['Method "retrive" not allowed.'] },
        },
        {
          level: 'info',
          message: 'list rooms #3 403 0 ms',
          fields: {
            status: 403,
            code: 'permission_denied',
            errors: ['You do not have permission to perform this action.'],
            remedy: 'See @Permissions(IsWelcome).',
          },
        },
      ]);
    });

    it('warns of those that failed or were slow', async () => {
      const app = start({ development: true, log: { actions: 'all', slowActionTime: 5 } });
      await using ann = await connect(app, '/ws/');
      const rooms = ann.channel('rooms');
      await rooms.request('fail', { request_id: 1 });
      await rooms.request('dawdle', { request_id: 2 });
      expect(providers.logger.at('warn').map(({ message }) => message)).to.deep.equal([
        'fail rooms #1 500 0 ms',
        'dawdle rooms #2 200 5 ms slow',
      ]);
      expect(providers.logger.at('error').map(({ message }) => message)).to.deep.equal(['An action failed.']);
    });

    it('has those that no action sees: malformed frames, unknown streams, cancel and unsubscribe', async () => {
      await using ann = await connect(start(), '/ws/');
      ann.sendText('{not json');
      await ann.receive();
      const room = ann.channel('room');
      await room.request('list', { request_id: 1 });
      const rooms = ann.channel('rooms');
      await rooms.request('cancel', { request_id: 2, target: 7 });
      await rooms.request('unsubscribe', { request_id: 3, target: 7 });
      await rooms.request('unsubscribe', { request_id: 4 });
      rooms.send({ action: 5, request_id: 5 });
      await rooms.receive();
      expect(providers.logger.entries.map(({ message, fields }) => [message, fields['errors']])).to.deep.equal([
        ['frame 400', ['The frame is not valid JSON.']],
        ['list room #1 404', ['No stream "room". There are: rooms, visible.', 'Did you mean "rooms"?']],
        ['cancel rooms #2 404', ['No request of this id is waiting or running.']],
        ['unsubscribe rooms #3 204', undefined],
        ['unsubscribe rooms #4 400', ['Name the request_id of the subscription as "target".']],
        ['frame rooms #5 400', ['The action has to be a string.']],
      ]);
    });

    it('says whose connection ended first', async () => {
      const app = start();
      const ann = await connect(app, '/ws/');
      const rooms = ann.channel('rooms');
      rooms.send({ action: 'list', request_id: 1 });
      ann.close();
      await ann.ended;
      expect(lines()).to.deep.equal(['list rooms #1 disconnected 0 ms']);
    });

    it('cuts names that a client made up', async () => {
      await using ann = await connect(start(), '/ws/');
      await ann.channel('rooms').request('x'.repeat(500), { request_id: 1 });
      await ann.channel('y'.repeat(500)).request('list', { request_id: 2 });
      expect(lines()).to.deep.equal([`${'x'.repeat(80)}… rooms #1 405 0 ms`, `list ${'y'.repeat(80)}… #2 404`]);
    });
  });

  describe('of subscriptions and events', () => {
    beforeEach(addRoom);

    it('is one line for each subscription, with its groups', async () => {
      await using ann = await connect(start(), '/ws/');
      await follow(ann.channel('rooms'), 7);
      expect(lines()).to.deep.equal(['subscribe RoomConsumer.onMessage #7 in room-1', 'follow rooms #7 201 0 ms']);
    });

    it('is one line for all events of a change', async () => {
      const app = start();
      await using ann = await connect(app, '/ws/?name=ann');
      await using bob = await connect(app, '/ws/?name=bob');
      await follow(ann.channel('rooms'), 1);
      await follow(ann.channel('rooms'), 2);
      await follow(bob.channel('rooms'), 1);
      lines();
      await write('hi');
      expect(await linesOfEvents(app)).to.deep.equal([
        'event create RoomConsumer.onMessage 1 in room-1 -> 3 subscriptions',
      ]);
      await write('one', 'two');
      expect(await linesOfEvents(app)).to.deep.equal([
        'event create RoomConsumer.onMessage 2 rows in room-1 -> 6 events',
      ]);
    });

    it('says in which groups a change was that no subscription hears of', async () => {
      const app = start();
      await using ann = await connect(app, '/ws/');
      await follow(ann.channel('rooms'), 1, 2);
      lines();
      await write('hi');
      expect(await linesOfEvents(app)).to.deep.equal([
        'event create RoomConsumer.onMessage 1 in room-1 -> no subscription so far',
      ]);
    });

    it('names the event of a signal', async () => {
      const app = start();
      await using ann = await connect(app, '/bells/');
      await ann.request('listen', { request_id: 1 });
      lines();
      bells.send({ bell: 'front' });
      expect(await linesOfEvents(app)).to.deep.equal([
        'event on_bell BellConsumer.onBell in all -> 1 subscription',
        'event on_bell MemberConsumer.onBell in all -> no subscription so far',
      ]);
    });

    it('says which event a permission withholds, and from whom', async () => {
      const app = start();
      await using ann = await connect(app, '/ws/?name=ann', { user: { id: 3 } });
      await follow(ann.channel('rooms'), 7);
      lines();
      banned.add('ann');
      await write('hi');
      await app.idle();
      expect(providers.logger.entries).to.deep.equal([
        {
          level: 'info',
          message: 'withhold create RoomConsumer.onMessage 1 from #7: @Permissions(IsWelcome)',
          fields: { user: 3 },
        },
      ]);
    });

    it('says so too where a permission throws its refusal, which is no failure', async () => {
      const app = start();
      await using ann = await connect(app, '/ws/');
      await follow(ann.channel('rooms'), 7);
      lines();
      await write('to be thrown');
      await app.idle();
      expect(providers.logger.entries).to.deep.equal([
        {
          level: 'info',
          message: 'withhold create RoomConsumer.onMessage 1 from #7: @Permissions(IsWelcome)',
          fields: {},
        },
      ]);
      await ann.expectSilence();
    });

    it("says which event concerns a row outside of the consumer's query", async () => {
      const app = start();
      await using ann = await connect(app, '/ws/');
      const visible = ann.channel('visible');
      await visible.request('subscribe_instance', { request_id: 4, pk: 1 });
      const em = database.orm.em.fork();
      const room = await em.findOneOrFail(Room, 1);
      room.archived = true;
      await em.flush();
      expect(await visible.receive()).to.include({ action: 'delete' });
      await linesOfEvents(app);
      room.name = 'den';
      await em.flush();
      await app.idle();
      expect(lines()).to.deep.equal([
        "withhold update VisibleConsumer.onInstance 1 from #4: the row is outside of the consumer's query",
      ]);
    });

    it('says which subscription a revocation ends', async () => {
      const app = start();
      await using ann = await connect(app, '/members/?name=ann');
      await ann.request('listen', { request_id: 1 });
      lines();
      banned.add('ann');
      left.send({ room: 1 });
      expect(await ann.receive()).to.include({ action: 'revoked' });
      expect(lines()).to.deep.equal(['revoke MemberConsumer.onBell #1']);
    });
  });

  describe('is none', () => {
    beforeEach(addRoom);

    const silent: Readonly<Record<string, GivenSettings>> = {
      'in production': { development: false, log: { actions: false } },
      'where the setting leaves it to problems': { development: true, log: { actions: 'problems' } },
      'where the setting asks for none': { development: true, log: { actions: false } },
      'in specs, unless they ask for it': { development: true },
    };
    for (const [when, settings] of Object.entries(silent)) {
      it(when, async () => {
        const app = start(settings);
        await using ann = await connect(app, '/ws/');
        await follow(ann.channel('rooms'), 1);
        await write('hi');
        expect(await linesOfEvents(app)).to.deep.equal([]);
      });
    }

    it('where the logger does not write its level, and nothing is put into words', async () => {
      providers = testProviders();
      const { container, clock } = providers;
      const logger = new MemoryLogger('warn');
      container.registerInstance(Logger, logger);
      const settings = { development: true, log: { actions: 'all' as const } };
      const app = createApp({ orm: database.orm, container, routes, settings });
      opened.push(app);
      await using ann = await connect(app, '/ws/');
      await follow(ann.channel('rooms'), 1);
      await write('hi');
      await app.idle();
      const waiting = clock.waiting;
      clock.advance(20);
      expect(clock.waiting).to.equal(waiting);
      expect(logger.entries).to.deep.equal([]);
    });
  });
});

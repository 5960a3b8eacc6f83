import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  ConfigurationError,
  Consumer,
  GroupsForConsumer,
  GroupsForSignal,
  type ModelEvent,
  ModelObserver,
  Observer,
  type Permission,
  Permissions,
  path,
  RevokedBy,
  Signal,
  type SignalEvent,
  type Subscription,
} from 'signalbox';
import { connect, type MemoryLogger, type TestConnection } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { Message, Room, User } from '../support/entities.js';
import { useServer } from '../support/serving.js';

interface Rung {
  readonly bell?: string | null;
  readonly loudness?: number;
  readonly at?: object;
}

const bells = new Signal<Rung>();
type Kwargs = { readonly group?: unknown };

let groupsOfMessage: (message: Message) => Iterable<unknown> | AsyncIterable<unknown>;
let groupsOfRung: (rung: Rung) => Iterable<unknown>;
let groupsOfKwargs: (kwargs: Kwargs, consumer: ToldConsumer) => Iterable<unknown>;

@Consumer()
class ToldConsumer extends ApiConsumer {
  #secret = 'secret';

  get session(): { readonly room?: { readonly name?: string } } {
    return { room: {} };
  }

  secretGroup(room: unknown): string {
    return `${this.#secret}-${room}`;
  }

  @Action({ status: 201 })
  async follow(context: ActionContext) {
    await this.subscribe(this.onMessage, context.kwargs, context);
  }

  @Action({ status: 201 })
  async listen(context: ActionContext) {
    await this.subscribe(this.onBell, context.kwargs, context);
  }

  @ModelObserver(() => Message)
  async onMessage(event: ModelEvent<Message>, subscription: Subscription<Kwargs>) {
    await subscription.send(event);
  }

  @GroupsForSignal('onMessage')
  protected groupsForMessage(message: Message) {
    return groupsOfMessage(message) as Iterable<string>;
  }

  @GroupsForConsumer('onMessage')
  protected groupsForFollower(kwargs: Kwargs) {
    return groupsOfKwargs(kwargs, this) as Iterable<string>;
  }

  @Observer(bells)
  async onBell(event: SignalEvent<Rung>, subscription: Subscription<Kwargs>) {
    await subscription.send(event);
  }

  @GroupsForSignal('onBell')
  protected groupsForBell(rung: Rung) {
    return groupsOfRung(rung) as Iterable<string>;
  }

  @GroupsForConsumer('onBell')
  protected groupsForListener(kwargs: Kwargs) {
    return groupsOfKwargs(kwargs, this) as Iterable<string>;
  }
}

class IsGuest implements Permission {
  hasPermission() {
    return true;
  }
}

@Consumer()
@Permissions(IsGuest)
class RevokedConsumer extends ToldConsumer {
  @RevokedBy('onMessage', () => Room)
  protected *groupsOfRoom(room: Room) {
    yield `host-${room.host?.username}`;
    yield `room-${room.id}`;
  }
}

describe('The names of groups', () => {
  const database = useDatabase('group_names');
  const serve = useServer();
  let app: App;
  let logger: MemoryLogger;

  beforeEach(() => {
    groupsOfMessage = () => [];
    groupsOfRung = () => [];
    groupsOfKwargs = ({ group }) => [String(group)];
    ({ app, logger } = serve([path('/', ToldConsumer)], { orm: database.orm }));
  });

  async function write(): Promise<void> {
    const em = database.orm.em.fork();
    const host = em.create(User, { id: 5, username: 'ann', password: '' });
    const room = em.create(Room, { id: 2, name: 'lobby', host });
    em.create(Message, { id: 7, room, text: 'null and void', user: null });
    await em.flush();
    await app.idle();
  }

  /** What the log tells of names that are none: the fields beside the error, and its text. */
  function faults(): unknown[] {
    return logger.at('error').map(({ message, fields: { error, ...fields } }) => {
      expect(error).to.be.instanceOf(ConfigurationError);
      return [message, fields, (error as ConfigurationError).message];
    });
  }

  async function follow(ann: TestConnection, group: string): Promise<void> {
    expect(await ann.request('follow', { group })).to.include({ response_status: 201 });
  }

  const named = 'ToldConsumer.groupsForMessage: yields';
  const withRelation: readonly [what: string, groups: (message: Message) => Iterable<unknown>, text: string][] = [
    [
      'a relation that is not loaded',
      ({ room }) => [`room-${room.name}`],
      `${named} "room-undefined", which cannot be a group: room.name is undefined, for room is not loaded. Name the group by the key of room, or load it: await wrap(room).init().`,
    ],
    [
      'a property of a relation that is null',
      ({ user }) => [`user-${user?.id}`],
      `${named} "user-undefined", which cannot be a group: user is null. Yield no group where it is missing.`,
    ],
    [
      'a relation that is null',
      ({ user }) => [`user-${user}`],
      `${named} "user-null", which cannot be a group: user is null. Yield no group where it is missing.`,
    ],
    [
      'an object',
      ({ room }) => [`room-${room}`],
      `${named} "room-[object Object]", which cannot be a group: room is an object. Name the group by a key of it.`,
    ],
    [
      'a value that is worked out elsewhere',
      () => [`day-${Number('monday')}`],
      `${named} "day-NaN", which cannot be a group. Name groups by values that are there, and yield none where one is missing.`,
    ],
    [
      'nothing at all',
      () => [undefined],
      `${named} "undefined", which cannot be a group. Name groups by values that are there, and yield none where one is missing.`,
    ],
  ];
  for (const [what, groups, text] of withRelation) {
    it(`show no missing value: ${what} is an error that says so, and the other groups of the change are told`, async () => {
      groupsOfMessage = (message) => [...groups(message), `message-${message.id}`];
      await using ann = await connect(app, '/');
      await follow(ann, 'message-7');
      await write();
      expect(await ann.receive()).to.deep.include({ action: 'create', data: { pk: 7 } });
      const fields = { observer: 'ToldConsumer.onMessage', pk: 7 };
      expect(faults()).to.deep.equal([['A group of a change was left out.', fields, text]]);
    });
  }

  it('may be made of what the method loads', async () => {
    groupsOfMessage = async function* ({ room }) {
      const { wrap } = await import('@mikro-orm/core');
      await wrap(room).init();
      yield `room-${room.name}`;
    };
    await using ann = await connect(app, '/');
    await follow(ann, 'room-lobby');
    await write();
    expect(await ann.receive()).to.include({ action: 'create' });
    expect(faults()).to.deep.equal([]);
  });

  it('may have these words in them where they are data', async () => {
    groupsOfMessage = ({ text }) => [`text-${text}`];
    await using ann = await connect(app, '/');
    await follow(ann, 'text-null and void');
    await follow(ann, 'null');
    await follow(ann, 'nullable');
    await write();
    expect(await ann.receive()).to.include({ action: 'create' });
    expect(faults()).to.deep.equal([]);
  });

  it('of a signal are left out in the same way', async () => {
    groupsOfRung = ({ bell, loudness }) => [`bell-${bell}`, `loud-${loudness}`, 'all'];
    await using ann = await connect(app, '/');
    expect(await ann.request('listen', { group: 'all' })).to.include({ response_status: 201 });
    bells.send({ bell: null });
    expect(await ann.receive()).to.deep.include({ action: 'on_bell', data: { bell: null } });
    const fields = { observer: 'ToldConsumer.onBell', pk: null };
    const named = 'ToldConsumer.groupsForBell: yields';
    expect(faults()).to.deep.equal([
      [
        'A group of a change was left out.',
        fields,
        `${named} "bell-null", which cannot be a group: bell is null. Yield no group where it is missing.`,
      ],
      [
        'A group of a change was left out.',
        fields,
        `${named} "loud-undefined", which cannot be a group: loudness is undefined. Yield no group where it is missing.`,
      ],
    ]);
  });

  it('of a revocation are left out too, and the others asked again', async () => {
    await app.close();
    ({ app, logger } = serve([path('/', RevokedConsumer)], { orm: database.orm }));
    await using ann = await connect(app, '/');
    await follow(ann, 'room-2');
    await write();
    const fields = { observer: 'RevokedConsumer.onMessage' };
    const text =
      'RevokedConsumer.groupsOfRoom: yields "host-undefined", which cannot be a group: host.username is undefined, for host is not loaded. Name the group by the key of host, or load it: await wrap(host).init().';
    expect(faults()).to.deep.equal([['Subscriptions could not be rechecked.', fields, text]]);
  });

  const kwargs: readonly [what: string, groups: typeof groupsOfKwargs, text: string][] = [
    [
      'a kwarg that was not sent',
      ({ group }) => [`room-${group}`],
      '"room-undefined", which cannot be a group: group is undefined. Yield no group where it is missing.',
    ],
    [
      'a fact of the connection',
      (_, { session }) => [`room-${session.room?.name}`],
      '"room-undefined", which cannot be a group: this.session.room.name is undefined. Yield no group where it is missing.',
    ],
    [
      'what a method with a private field makes of it',
      ({ group }, consumer) => [consumer.secretGroup(group)],
      '"secret-undefined", which cannot be a group: group is undefined. Yield no group where it is missing.',
    ],
  ];
  for (const [what, groups, text] of kwargs) {
    it(`refuse a subscription that would wait in one for ever: ${what} is a 500, and an error in the log`, async () => {
      groupsOfKwargs = groups;
      await using ann = await connect(app, '/');
      expect(await ann.request('follow')).to.include({ response_status: 500, code: 'server_error' });
      const [fault] = faults() as [string, object, string][];
      expect(fault?.[0]).to.equal('An action failed.');
      expect(fault?.[1]).to.include({ consumer: 'ToldConsumer', action: 'follow' });
      expect(fault?.[2]).to.equal(`ToldConsumer.groupsForFollower: yields ${text}`);
    });
  }
});

import { expect } from 'chai';
import { IsInt, IsOptional } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  GroupsForBoth,
  Observer,
  type Permission,
  Permissions,
  path,
  Signal,
  type SignalEvent,
  type Subscription,
} from 'signalbox';
import { connect, type MemoryLogger, type TestConnection } from 'signalbox/testing';
import { z } from 'zod';
import { useServer } from '../support/serving.js';

class Rang {
  @IsInt() room!: number;
}

class RoomKey {
  @IsInt() room!: number;
  @IsOptional() @IsInt() floor?: number;
}

interface Circle {
  room: number;
  self?: Circle;
}

const rang = new Signal<Rang>();
const roomSchema = z.object({
  room: z.number(),
  tags: z
    .array(z.string())
    .transform((tags) => new Set(tags))
    .optional(),
});
let asked: string[];

/** Notes with what it is asked at a delivery. */
class Notes implements Permission {
  hasPermission({ action, kwargs, isDelivery }: ActionContext) {
    if (isDelivery) asked.push(`${action} ${JSON.stringify(kwargs)}`);
    return true;
  }
}

@Consumer()
@Permissions(Notes)
class BellConsumer extends ApiConsumer {
  @Action({ status: 201 })
  async follow({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onRang, { room }, context);
  }

  @Action({ status: 201, kwargs: roomSchema })
  async followBySchema({ room }: z.infer<typeof roomSchema>, context: ActionContext) {
    await this.subscribe(this.onRang, { room }, context);
  }

  @Action({ status: 201 })
  async followUnchecked(context: ActionContext) {
    await this.subscribe(this.onRang, { room: Number(context.kwargs['room']) }, context);
  }

  @Action({ status: 201 })
  async followInACircle(context: ActionContext) {
    const kwargs: Circle = { room: 1 };
    kwargs.self = kwargs;
    await this.subscribe(this.onRang, kwargs, context);
  }

  @Observer(rang)
  async onRang(event: SignalEvent<Rang>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }

  @GroupsForBoth('onRang')
  protected *groupsOfRoom({ room }: Rang | RoomKey) {
    yield `room-${room}`;
  }
}

describe('What a subscription keeps of its kwargs', () => {
  const serve = useServer();
  let app: App;
  let logger: MemoryLogger;
  let client: TestConnection;

  beforeEach(async () => {
    asked = [];
    const settings = { development: true, limits: { subscriptions: 2 } };
    ({ app, logger } = serve([path('/', BellConsumer)], { settings }));
    await app.start();
    client = await connect(app, '/');
  });

  async function follow(action: string, kwargs: object): Promise<unknown> {
    return (await client.request(action, { request_id: 1, ...kwargs })).response_status;
  }

  async function ring(): Promise<void> {
    rang.send({ room: 1 });
    expect(await client.receive()).to.deep.include({ data: { room: 1 }, request_id: 1 });
  }

  for (const { title, action, kept } of [
    { title: 'is what its class knows', action: 'follow', kept: 'follow {"room":1,"floor":2}' },
    { title: 'is what its schema knows', action: 'follow_by_schema', kept: 'follow_by_schema {"room":1}' },
    {
      title: 'is what it subscribed with, where the action declares none',
      action: 'follow_unchecked',
      kept: 'follow_unchecked {"room":1}',
    },
  ]) {
    it(`${title}; the rest is asked with once and forgotten`, async () => {
      expect(await follow(action, { room: 1, floor: 2, junk: 'x'.repeat(1_000) })).to.equal(201);
      await ring();
      expect(asked).to.deep.equal([kept]);
    });
  }

  it('is one memory, however often it is asked for with something else beside', async () => {
    for (let junk = 0; junk < 20; junk += 1) expect(await follow('follow', { room: 1, junk })).to.equal(201);
    await ring();
    expect(asked).to.deep.equal(['follow {"room":1}']);
    expect(await follow('follow', { room: 2 })).to.equal(201);
    expect(await follow('follow', { room: 3 })).to.equal(429);
  });

  it('is one for each action and each value that the action knows', async () => {
    expect(await follow('follow', { room: 1, floor: 1 })).to.equal(201);
    expect(await follow('follow', { room: 1, floor: 2 })).to.equal(201);
    await ring();
    expect(asked).to.deep.equal(['follow {"room":1,"floor":1}', 'follow {"room":1,"floor":2}']);
    expect(await follow('follow_by_schema', { room: 1 })).to.equal(429);
    expect(await client.request('unsubscribe', { target: 1 })).to.include({ response_status: 204 });
    expect(await follow('follow_by_schema', { room: 1 })).to.equal(201);
  });

  it('is one for each set that a schema makes', async () => {
    for (const tags of [['a'], ['b'], ['b'], ['a']])
      expect(await follow('follow_by_schema', { room: 1, tags })).to.equal(201);
    expect(await follow('follow_by_schema', { room: 1, tags: ['a', 'b'] })).to.equal(429);
  });

  it('may be anything that the application subscribes with', async () => {
    expect(await follow('follow_in_a_circle', {})).to.equal(201);
    expect(await follow('follow_in_a_circle', {})).to.equal(201);
    await ring();
  });

  it('is told to developers where something that a permission may have read is left out', async () => {
    await follow('follow', { room: 1, junk: 1 });
    expect(logger.at('debug').map(({ message, fields }) => ({ message, ...fields }))).to.deep.include({
      message:
        'Kwargs that neither the action nor the subscription declares are not kept for its permissions and queries.',
      action: 'follow',
      dropped: ['junk'],
    });
  });
});

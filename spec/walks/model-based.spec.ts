import type { EntityManager } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import fc from 'fast-check';
import { Action, ActionContext, type App, Consumer, createApp, InMemoryChannelLayer, path } from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { checkAsyncProperty } from '../support/properties.js';
import { ShelfKey, ShelfObserver, thingModels } from '../support/things.js';
import { transact } from '../support/transact.js';
import { type Script, type Step, script, World } from '../support/world.js';

@Consumer()
class ShelfConsumer extends ShelfObserver {
  @Action({ status: 204 })
  async leave({ shelf }: ShelfKey, context: ActionContext) {
    await this.unsubscribe(this.onThing, { shelf }, context);
  }
}

/** Plays a script against the real thing. */
class Playback {
  private readonly clients = new Map<number, TestConnection>();
  private readonly heard: { connection: TestConnection; session: number }[] = [];

  constructor(
    private readonly app: App,
    private readonly em: EntityManager,
  ) {}

  async play(step: Step, session: number): Promise<void> {
    switch (step.kind) {
      case 'connect': {
        const connection = await connect(this.app, '/ws/');
        this.clients.set(step.client, connection);
        this.heard.push({ connection, session });
        return;
      }
      case 'disconnect':
        this.clients.get(step.client)?.close();
        this.clients.delete(step.client);
        return;
      case 'subscribe':
        await this.request(step.client, 'watch', step);
        return;
      case 'unsubscribe':
        // Who leaves is not owed what is on its way.
        await this.app.idle();
        await this.request(step.client, 'leave', step);
        return;
      case 'transaction':
        await transact(this.em.fork(), step.transaction);
    }
  }

  /** The events that each session heard, by request id. */
  async events(): Promise<
    ReadonlyMap<number, readonly { requestId: unknown; action: string | null; data: unknown }[]>
  > {
    await this.app.idle();
    return new Map(
      this.heard.map(({ connection, session }) => [
        session,
        connection.frames
          .filter(({ action }) => ['create', 'update', 'delete'].includes(String(action)))
          .map(({ request_id: requestId, action, data }) => ({ requestId, action, data })),
      ]),
    );
  }

  async leave(): Promise<void> {
    for (const { connection } of this.heard) await connection[Symbol.asyncDispose]();
  }

  private async request(client: number, action: string, { id, shelf }: { id: string; shelf: number }): Promise<void> {
    const reply = await this.clients.get(client)?.request(action, { request_id: id, shelf });
    expect(reply?.errors ?? []).to.deep.equal([]);
  }
}

describe('Subscriptions and transactions in any order', () => {
  const database = useDatabase('model_based', thingModels);

  it('tell each subscription what was committed while it lasted, in order, once, and nothing else', async function () {
    this.timeout(0);
    await checkAsyncProperty(fc.asyncProperty(script, playAndCompare), 60);
  });

  async function playAndCompare(steps: Script): Promise<void> {
    await database.orm.em.execute('truncate thing cascade');
    const layer = new InMemoryChannelLayer();
    const app = createApp({ orm: database.orm, channelLayer: layer, routes: [path('/ws/', ShelfConsumer)] });
    const playback = new Playback(app, database.orm.em);
    const world = new World();
    try {
      for (const step of steps) if (world.permits(step)) await playback.play(step, world.play(step));
      const events = await playback.events();
      for (const [session, heard] of events) world.check(session, heard);
      await playback.leave();
      expect(layer.groupCount).to.equal(0);
    } finally {
      await app.close();
    }
  }
});

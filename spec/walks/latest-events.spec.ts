import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  Consumer,
  createApp,
  type ModelEvent,
  ModelObserver,
  path,
  type Subscription,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { User } from '../support/entities.js';
import { UserSerializer } from '../support/rooms.js';

let built: Watching | undefined;

@Consumer()
class Watching extends ApiConsumer {
  constructor() {
    super();
    built = this;
  }

  @Action()
  async watch(context: ActionContext) {
    await this.subscribe(this.onUser, {}, context);
  }

  @ModelObserver(() => User, { serializer: UserSerializer, latest: true })
  async onUser(event: ModelEvent<UserSerializer>, subscription: Subscription<object>) {
    await subscription.send(event);
  }

  /** More than the soft limit. */
  fill(): void {
    for (let each = 0; each < 80; each += 1) this.sendJson({ text: 'x'.repeat(1024) });
  }
}

describe('An observer of the latest', () => {
  const database = useDatabase('latest_events');

  it('tells a slow client of the last of several changes, of a create as a create, and of every delete', async () => {
    await using app = closing(createApp({ orm: database.orm, routes: [path('/', Watching)] }));
    const em = database.orm.em.fork();
    const old = em.create(User, { username: 'old', password: 'x' });
    const kept = em.create(User, { username: 'kept', password: 'x' });
    await em.flush();
    await app.app.idle();
    await using ann = await connect(app.app, '/');
    await ann.request('watch', { request_id: 1 });
    ann.freeze();
    built?.fill();
    const fresh = em.create(User, { username: 'fresh', password: 'x' });
    await em.flush();
    for (const name of ['a', 'b', 'c']) {
      fresh.username = `fresh ${name}`;
      kept.username = `kept ${name}`;
      old.username = `old ${name}`;
      await em.flush();
    }
    await em.remove(old).flush();
    await app.app.idle();
    ann.thaw();
    const events = ann.frames.filter(({ request_id, action }) => request_id === 1 && action !== 'watch');
    expect(events.map(({ action, data }) => [action, data])).to.have.deep.members([
      ['create', { id: 3, username: 'fresh c' }],
      ['update', { id: 2, username: 'kept c' }],
      ['delete', { pk: 1 }],
    ]);
  });
});

function closing(app: ReturnType<typeof createApp>): AsyncDisposable & { readonly app: typeof app } {
  return { app, [Symbol.asyncDispose]: () => app.close() };
}

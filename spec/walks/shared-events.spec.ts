import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  createApp,
  demultiplexer,
  type ModelEvent,
  ModelObserver,
  path,
  type Route,
  type Subscription,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { memoryKept } from '../support/memory.js';
import { Note, NoteSerializer } from '../support/seats.js';

@Consumer()
class NoteConsumer extends ApiConsumer {
  @Action({ status: 201 })
  async followEach(context: ActionContext) {
    await this.subscribe(this.onEach, {}, context);
  }

  @Action({ status: 201 })
  async followLatest(context: ActionContext) {
    await this.subscribe(this.onLatest, {}, context);
  }

  @ModelObserver(() => Note, { serializer: NoteSerializer })
  async onEach(event: ModelEvent<NoteSerializer>, subscription: Subscription<object>) {
    await subscription.send(event);
  }

  @ModelObserver(() => Note, { serializer: NoteSerializer, latest: true })
  async onLatest(event: ModelEvent<NoteSerializer>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

const clients = 100;
const events = 5;
/** More bytes than a socket is handed before its client reads. */
const size = 100_000;

describe('An event that many frozen clients have not read', () => {
  const database = useDatabase('shared_events', [Note]);
  let app: App<readonly Route[]>;

  beforeEach(() => {
    app = createApp<readonly Route[]>({
      orm: database.orm,
      routes: [path('/one/', NoteConsumer), path('/many/', demultiplexer({ notes: NoteConsumer }))],
    });
  });
  afterEach(() => app.close());

  for (const { where, url, action } of [
    { where: 'of a route', url: '/one/', action: 'follow_each' },
    { where: 'of a stream', url: '/many/', action: 'follow_each' },
    { where: 'of an observer of the latest', url: '/one/', action: 'follow_latest' },
  ]) {
    it(`is in memory once, and not once for each client: ${where}`, async () => {
      const connections = await Promise.all(Array.from({ length: clients }, () => connect(app, url)));
      const channels = connections.map((each) => (url === '/many/' ? each.channel('notes') : each));
      for (const [id, channel] of channels.entries()) await channel.request(action, { request_id: id });
      const em = database.orm.em.fork();
      const write = async (letter: string): Promise<void> => {
        em.create(Note, { room: 1, text: letter.repeat(size) });
        await em.flush();
        em.clear();
        await app.idle();
      };
      for (const connection of connections) connection.freeze();
      // It goes to the socket of each client, which copies it; those that follow wait in the process.
      await write('0');
      const before = await memoryKept();
      for (let event = 1; event <= events; event += 1) await write(String(event));
      // Copies would take 50 MB; the texts take 0.5 MB, and what is around each of the 500 frames less than 2 kB.
      expect((await memoryKept()) - before).to.be.below(5_000_000);

      for (const connection of connections) connection.thaw();
      for (const [id, channel] of channels.entries()) {
        const told = channel.frames.filter(({ action }) => action === 'create');
        expect(told).to.have.length(events + 1);
        expect(told.at(-1)).to.deep.equal({
          errors: [],
          data: { id: events + 1, text: String(events).repeat(size) },
          action: 'create',
          response_status: 200,
          request_id: id,
        });
      }
    });
  }
});

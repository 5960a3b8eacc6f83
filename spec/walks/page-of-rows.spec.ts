import { expect } from 'chai';
import {
  AllowAny,
  type App,
  Consumer,
  createApp,
  demultiplexer,
  LimitOffsetPaginator,
  List,
  ModelConsumer,
  mix,
  ObserveInstance,
  Patch,
  type Permission,
  Permissions,
  path,
  Retrieve,
  type Route,
} from 'signalbox';
import { useDatabase } from '../support/database.js';
import { Room, User } from '../support/entities.js';
import { RoomSerializer } from '../support/rooms.js';
import { type Frame, SocketClient } from '../support/sockets.js';

const rows = 250;

class PageOfAll extends LimitOffsetPaginator {
  override readonly pageSize = rows;
  override readonly maximumPageSize = rows;
}

class MayRead implements Permission {
  hasPermission() {
    return true;
  }
}

const actions = mix(
  ModelConsumer(Room, { serializer: RoomSerializer, paginator: PageOfAll }),
  List,
  Retrieve,
  Patch,
  ObserveInstance,
);

@Consumer()
@Permissions(AllowAny)
class RoomConsumer extends actions {}

@Consumer()
@Permissions(MayRead)
class AskedConsumer extends actions {}

const keys = Array.from({ length: rows }, (_, index) => index + 1);

describe(`A page of ${rows} rows, with the default limits`, () => {
  const database = useDatabase('page_of_rows', [Room, User]);
  let app: App<readonly Route[]>;
  let port: number;

  beforeEach(async () => {
    await database.orm.em.execute(
      `insert into room (name) select 'room ' || each from generate_series(1, ${rows}) each`,
    );
    const streams = demultiplexer({ rooms: RoomConsumer, asked: AskedConsumer });
    const routes = [path('/', RoomConsumer), path('/asked/', AskedConsumer), path('/many/', streams)];
    app = createApp<readonly Route[]>({ orm: database.orm, routes });
    ({ port } = await app.listen({ port: 0, host: '127.0.0.1' }));
  });
  afterEach(() => app.close());

  for (const { title, url, wrap, unwrap } of [
    { title: 'of a route', url: '/', wrap: (frame: Frame) => frame, unwrap: (frame: Frame) => frame },
    {
      title: 'that a permission is asked for',
      url: '/asked/',
      wrap: (frame: Frame) => frame,
      unwrap: (frame: Frame) => frame,
    },
    {
      title: 'of a stream',
      url: '/many/',
      wrap: (payload: Frame) => ({ stream: 'rooms', payload }),
      unwrap: ({ payload }: Frame) => payload as Frame,
    },
  ]) {
    describe(title, () => {
      it('is read, followed row by row, and asked for row by row at once', async () => {
        await using client = await SocketClient.open(`ws://127.0.0.1:${port}${url}`);
        const answers = async (count: number): Promise<Frame[]> => {
          const frames: Frame[] = [];
          while (frames.length < count) frames.push(unwrap(await client.receive()));
          return frames;
        };
        const askForEach = (action: string, id: (pk: number) => string): void => {
          for (const pk of keys) client.send(wrap({ action, pk, request_id: id(pk) }));
        };

        client.send(wrap({ action: 'list', request_id: 'page' }));
        const [page] = await answers(1);
        expect(page).to.have.nested.property('data.results').with.length(rows);

        askForEach('subscribe_instance', (pk) => `row ${pk}`);
        askForEach('retrieve', (pk) => `again ${pk}`);
        const replies = await answers(2 * rows);
        expect(replies.map((reply) => [reply['request_id'], reply['response_status']])).to.deep.equal([
          ...keys.map((pk) => [`row ${pk}`, 201]),
          ...keys.map((pk) => [`again ${pk}`, 200]),
        ]);

        const em = database.orm.em.fork();
        for (const room of await em.findAll(Room)) room.name = `new ${room.id}`;
        await em.flush();
        const events = await answers(rows);
        const told = events
          .map((event) => `${event['request_id']}: ${(event['data'] as { name: string }).name}`)
          .sort();
        expect(told).to.deep.equal(keys.map((pk) => `row ${pk}: new ${pk}`).sort());
      });
    });
  }
});

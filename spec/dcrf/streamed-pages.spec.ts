import { expect } from 'chai';
import {
  Action,
  Consumer,
  CursorPaginator,
  LimitOffsetPaginator,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  type PageSource,
  type SerializerContext,
  StreamedList,
} from 'signalbox';
import type { TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { until } from '../support/deadline.js';
import { failure, invalid, reply } from '../support/frames.js';
import { ShortSerializer, short, Thing } from '../support/things.js';
import { useScenarios } from './crud-support.js';

class Pairs extends LimitOffsetPaginator {
  override readonly pageSize = 2;
}

class SlowPairs extends Pairs {
  override readonly pause = 400;
}

class SlowCursors extends CursorPaginator {
  override readonly pageSize = 2;
  override readonly pause = 400;
}

@Consumer()
class SlowConsumer extends mix(
  ModelConsumer(Thing, { serializer: ShortSerializer, paginator: SlowPairs }),
  StreamedList,
) {
  @Action() ping() {
    return 'pong';
  }
}

@Consumer()
class FastConsumer extends mix(ModelConsumer(Thing, { serializer: ShortSerializer, paginator: Pairs }), StreamedList) {
  @Action() ping() {
    return 'pong';
  }
}

/** How many rows the entity manager holds while each of them is shown. */
let held: number[] = [];

@injectable()
class HeldSerializer extends ModelSerializer(Thing, { fields: ['id'], computed: ['others'] }) {
  others(_thing: Thing, { unitOfWork }: SerializerContext): number {
    held.push(unitOfWork.em.getUnitOfWork().getIdentityMap().values().length);
    return held.length;
  }
}

@Consumer()
class HeldConsumer extends mix(ModelConsumer(Thing, { serializer: HeldSerializer, paginator: Pairs }), StreamedList) {}

@Consumer()
class CursorConsumer extends mix(
  ModelConsumer(Thing, { serializer: ShortSerializer, paginator: SlowCursors }),
  StreamedList,
) {}

/** Its cursor does not move on. */
class StuckCursors extends CursorPaginator {
  override readonly pageSize = 2;

  override next() {
    return { cursor: 'here' };
  }

  override page<Row>(source: PageSource<Row>) {
    return super.page(source, {});
  }
}

@Consumer()
class StuckConsumer extends mix(
  ModelConsumer(Thing, { serializer: ShortSerializer, paginator: StuckCursors }),
  StreamedList,
) {}

@Consumer()
class WholeConsumer extends mix(ModelConsumer(Thing, { serializer: ShortSerializer }), List) {
  @Action() ping() {
    return 'pong';
  }
}

describe('DCRF: streamed pagination and list_cancel', () => {
  const world = useScenarios('dcrf_streamed', {
    '/ws/stream/': SlowConsumer,
    '/ws/stream-fast/': FastConsumer,
    '/ws/stream-held/': HeldConsumer,
    '/ws/stream-cursor/': CursorConsumer,
    '/ws/stream-none/': WholeConsumer,
    '/ws/stream-stuck/': StuckConsumer,
  });
  const all = [
    short(1, 'alpha'),
    short(2, 'beta'),
    short(3, 'gamma'),
    short(4, 'delta'),
    short(5, 'epsilon'),
    short(6, 'zeta'),
    short(7, 'eta'),
  ];
  const stream = async (count: number, url: string) => {
    await world.things(count);
    return world.open(url);
  };
  const part = (count: number, results: unknown, offset: number, id: unknown = 1, limit = 2) =>
    reply('list', { count, results, limit, offset }, id, 206);
  const last = (count: number, results: unknown, offset: number, id: unknown = 1, limit = 2) =>
    reply('list', { count, results, limit, offset }, id);
  /** Moves the clock once the stream waits for it. Its time limit waits too, and the heartbeat. */
  const next = async (a: TestConnection) => {
    await until(() => world.clock.waiting >= 3, 'The pause before the next page');
    world.clock.advance(400);
    return a.receive();
  };
  const cancelled = (id: unknown) => failure('list', 499, 'cancelled', 'The request was cancelled.', id);

  it('S149 (differs) each page is a frame with the request’s id, and other actions are answered in between', async () => {
    const a = await stream(5, '/ws/stream/');
    a.send({ action: 'list', request_id: 1 });
    expect(await a.receive()).to.deep.equal(part(5, all.slice(0, 2), 0));
    expect(await a.request('ping', { request_id: 2 })).to.deep.equal(reply('ping', 'pong', 2));
    expect(await next(a)).to.deep.equal(part(5, all.slice(2, 4), 2));
    expect(await next(a)).to.deep.equal(last(5, all.slice(4, 5), 4));
    await a.expectSilence();
    a.close();
    await a.ended;
    expect(world.clock.waiting).to.equal(0);
  });

  it('S150 (differs) rows that fill their pages are followed by no empty page', async () => {
    const a = await stream(4, '/ws/stream-fast/');
    await a.request('list', { request_id: 1 });
    expect(a.frames).to.deep.equal([part(4, all.slice(0, 2), 0), last(4, all.slice(2, 4), 2)]);
  });

  it('ends at the page whose cursor leads to itself', async () => {
    const a = await stream(4, '/ws/stream-stuck/');
    expect(await a.request('list', { request_id: 1 })).to.include({ response_status: 200 });
    expect(a.frames.map(({ response_status }) => response_status)).to.deep.equal([206, 200]);
  });

  it('S151 no rows are one empty page', async () => {
    const a = await stream(0, '/ws/stream-fast/');
    await a.request('list', { request_id: 1 });
    expect(a.frames).to.deep.equal([last(0, [], 0)]);
  });

  it('S152 (differs) a stream begins where the client says', async () => {
    const a = await stream(5, '/ws/stream-fast/');
    await a.request('list', { request_id: 1, limit: 1, offset: 3 });
    await a.request('list', { request_id: 2, offset: 10 });
    expect(a.frames).to.deep.equal([
      part(5, all.slice(3, 4), 3, 1, 1),
      last(5, all.slice(4, 5), 4, 1, 1),
      last(5, [], 10, 2),
    ]);
  });

  it('S154 list_cancel with nothing to cancel is a 200', async () => {
    const a = await stream(0, '/ws/stream/');
    expect(await a.request('list_cancel', { request_id: 9 })).to.deep.equal(reply('list_cancel', null, 9));
  });

  it('S155 (differs) list_cancel ends every stream, and each is answered', async () => {
    const a = await stream(7, '/ws/stream/');
    a.send({ action: 'list', request_id: 's1' });
    expect(await a.receive()).to.deep.equal(part(7, all.slice(0, 2), 0, 's1'));
    a.send({ action: 'list', request_id: 's2' });
    expect(await a.receive()).to.deep.equal(part(7, all.slice(0, 2), 0, 's2'));
    expect(await a.request('list_cancel', { request_id: 9 })).to.deep.equal(reply('list_cancel', null, 9));
    expect(await a.reply('s1')).to.deep.equal(cancelled('s1'));
    expect(await a.reply('s2')).to.deep.equal(cancelled('s2'));
    world.clock.advance(400);
    await a.expectSilence();
  });

  it('S156 (differs) a stream needs pages: without a paginator it is refused where the class is defined, and List lists all rows', async () => {
    expect(() => mix(ModelConsumer(Thing, { serializer: ShortSerializer }), StreamedList)).to.throw(
      'StreamedList: is mixed into a consumer without a paginator, so that there are no pages to send.',
    );
    const a = await stream(3, '/ws/stream-none/');
    expect(await a.request('list', { request_id: 1 })).to.deep.equal(reply('list', all.slice(0, 3)));
    expect(await a.request('ping', { request_id: 2 })).to.deep.equal(reply('ping', 'pong', 2));
  });

  it('S157 (differs) a limit of null is a 400 in a stream too', async () => {
    const a = await stream(3, '/ws/stream-fast/');
    expect(await a.request('list', { request_id: 1, limit: null })).to.deep.equal(
      invalid('list', { limit: ['A valid integer is required.'] }),
    );
    expect(await a.request('ping', { request_id: 2 })).to.deep.equal(reply('ping', 'pong', 2));
  });

  it('S159 (differs) a row deleted behind a stream shifts pages by offset, and not those by cursor', async () => {
    const deleteFirst = async () => {
      const em = world.orm.em.fork();
      em.remove(await em.findOneOrFail(Thing, { shelf: 1 }, { orderBy: { id: 'asc' } }));
      await em.flush();
    };
    const a = await stream(5, '/ws/stream/');
    a.send({ action: 'list', request_id: 1 });
    expect(await a.receive()).to.deep.equal(part(5, all.slice(0, 2), 0));
    await deleteFirst();
    expect(await next(a)).to.deep.equal(last(4, all.slice(3, 5), 2));

    const b = await world.open('/ws/stream-cursor/');
    b.send({ action: 'list', request_id: 2 });
    expect((await b.receive()).data).to.deep.include({ results: all.slice(1, 3) });
    await deleteFirst();
    const { data, ...rest } = await next(b);
    expect(rest).to.include({ action: 'list', request_id: 2, response_status: 200 });
    expect(data).to.deep.include({ results: all.slice(3, 5), limit: 2, next: null });
  });

  it('ends the one stream that `cancel` names', async () => {
    const a = await stream(7, '/ws/stream/');
    a.send({ action: 'list', request_id: 's1' });
    await a.receive();
    expect(await a.request('cancel', { request_id: 8, target: 's1' })).to.deep.equal(reply('cancel', null, 8));
    expect(await a.reply('s1')).to.deep.equal(cancelled('s1'));
    world.clock.advance(400);
    await a.expectSilence();
  });

  it('ends with its socket', async () => {
    const a = await stream(7, '/ws/stream/');
    a.send({ action: 'list', request_id: 1 });
    await a.receive();
    a.close();
    await a.ended;
    expect(world.clock.waiting).to.equal(0);
  });

  it('holds one page at a time', async () => {
    held = [];
    const a = await stream(7, '/ws/stream-held/');
    await a.request('list', { request_id: 1 });
    expect(a.frames.map(({ response_status }) => response_status)).to.deep.equal([206, 206, 206, 200]);
    expect(held).to.deep.equal([2, 2, 2, 2, 2, 2, 1]);
  });
});

import { EntityManager } from '@mikro-orm/core';
import type { SqlEntityManager } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import {
  type ActionContext,
  BulkPatch,
  Consumer,
  Delete,
  ModelConsumer,
  mix,
  Patch,
  type Permission,
  Permissions,
  path,
  Update,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { within } from '../support/deadline.js';
import { Room, User } from '../support/entities.js';
import { whileItWaits } from '../support/locks.js';
import { useRooms, WholeRoomSerializer } from '../support/rooms.js';
import { statementsSentBy } from '../support/sent-statements.js';

const base = mix(ModelConsumer(Room, { serializer: WholeRoomSerializer }), Update, Patch, Delete, BulkPatch);

/** What is done while a row is judged, and the rows that were. */
let meanwhile: () => Promise<unknown>;
let judged: string[];

class IsCurrent implements Permission {
  async hasObjectPermission(_context: ActionContext, { name, archived, host }: Room) {
    judged.push(`${name} of ${host?.id}`);
    await meanwhile();
    return !archived;
  }
}

@Consumer()
@Permissions(IsCurrent)
class JudgedConsumer extends base {}

@injectable()
class IsHosted implements Permission {
  constructor(private readonly em: EntityManager) {}

  async hasObjectPermission(_context: ActionContext, { id, host }: Room) {
    judged.push(String(id));
    return host != null && (await this.em.findOneOrFail(User, host.id)).username === 'ann';
  }
}

@Consumer()
@Permissions(IsHosted)
class HostedConsumer extends base {}

@Consumer()
class OfAnnConsumer extends base {
  protected override getQuery() {
    return { host: { username: 'ann' } };
  }
}

@Consumer()
class OfBothConsumer extends base {
  protected override getQuery() {
    return { host: { username: { $in: ['ann', 'bob'] } } };
  }
}

@Consumer()
class WithMemberConsumer extends base {
  protected override getQuery() {
    return { members: { $some: { username: 'ann' } } };
  }
}

describe('A write by one statement', () => {
  const database = useDatabase('judged_writes');
  const rooms = useRooms(
    database,
    [
      path('/judged/', JudgedConsumer),
      path('/hosted/', HostedConsumer),
      path('/of-ann/', OfAnnConsumer),
      path('/of-both/', OfBothConsumer),
      path('/members/', WithMemberConsumer),
    ],
    [
      { name: 'red', host: 1 },
      { name: 'blue', archived: true, host: 1 },
      { name: 'green', host: 2 },
    ],
  );

  beforeEach(async () => {
    meanwhile = async () => {};
    judged = [];
    await rooms.em.execute('insert into room_members (room_id, user_id) values (1, 1), (3, 2)');
  });

  async function patch(pk: number, data: object, to = rooms.ann) {
    return to.request('patch', { pk, data });
  }

  async function stored(pk: number): Promise<unknown> {
    const [row] = await rooms.em.execute<object[]>('select name, archived from room where id = ?', [pk]);
    return row;
  }

  /** The kinds of the statements of some work, once its shapes are known. */
  async function kindsOf(work: () => Promise<unknown>): Promise<readonly string[]> {
    const sent = await statementsSentBy(work);
    return sent.map(({ text }) => text.split(' ')[0] ?? '');
  }

  describe('of a row that permissions look at', () => {
    it('takes a read and the write, and no transaction around them', async () => {
      await patch(1, { name: 'pink' });
      expect(await kindsOf(() => patch(1, { name: 'navy' }))).to.deep.equal(['select', 'with']);
      expect(await kindsOf(() => rooms.ann.request('update', { pk: 1, data: { name: 'grey' } }))).to.deep.equal([
        'select',
        'with',
      ]);
      expect(judged).to.deep.equal(['red of 1', 'pink of 1', 'navy of 1']);
    });

    it('is answered 404 where a permission refuses the row, and writes nothing', async () => {
      expect(await patch(2, { name: 'pink' })).to.deep.include({ response_status: 404 });
      expect(await rooms.ann.request('delete', { pk: 2 })).to.deep.include({ response_status: 404 });
      expect(await patch(99, { name: 'pink' })).to.deep.include({ response_status: 404 });
      expect(await stored(2)).to.deep.equal({ name: 'blue', archived: true });
    });

    it('is judged anew where another writer has changed the row meanwhile, and refused by what it is then', async () => {
      meanwhile = async () => {
        meanwhile = async () => {};
        await rooms.em.execute('update room set archived = true where id = 1');
      };
      expect(await patch(1, { name: 'pink' })).to.deep.include({ response_status: 404 });
      expect(judged).to.deep.equal(['red of 1', 'red of 1']);
      expect(await stored(1)).to.deep.equal({ name: 'red', archived: true });
    });

    it('is written as it is judged the second time, and keeps what the other writer wrote', async () => {
      meanwhile = async () => {
        meanwhile = async () => {};
        await rooms.em.execute('update room set host_id = 2 where id = 1');
      };
      expect(await patch(1, { name: 'pink' })).to.deep.include({
        data: { id: 1, name: 'pink', archived: false, host: 2 },
        response_status: 200,
      });
      expect(judged).to.deep.equal(['red of 1', 'red of 2']);
    });

    it('is judged anew where it has waited for the other writer', async () => {
      const reply = await whileItWaits(
        rooms.em,
        (inner) => inner.execute('update room set archived = true where id = 1'),
        () => patch(1, { name: 'pink' }),
      );
      expect(reply).to.deep.include({ response_status: 404 });
      expect(await stored(1)).to.deep.equal({ name: 'red', archived: true });
    });

    it('is written in a transaction after three changes, and never by what was judged before', async () => {
      let changes = 0;
      meanwhile = async () => {
        changes += 1;
        if (changes <= 3) await rooms.em.execute('update room set host_id = 3 - host_id where id = 1');
      };
      expect(await patch(1, { name: 'pink' })).to.deep.include({ response_status: 200 });
      expect(judged).to.deep.equal(['red of 1', 'red of 2', 'red of 1', 'red of 2']);
      expect(await stored(1)).to.deep.equal({ name: 'pink', archived: false });
    });

    it('takes a read and the write for a list of rows, too', async () => {
      const list = (name: string) => ({
        data: [
          { pk: 3, data: { name: `${name} 3` } },
          { pk: 1, data: { name: `${name} 1` } },
        ],
      });
      await rooms.ann.request('bulk_patch', list('pink'));
      expect(await kindsOf(() => rooms.ann.request('bulk_patch', list('navy')))).to.deep.equal(['select', 'with']);
      expect(judged).to.deep.equal(['green of 2', 'red of 1', 'pink 3 of 2', 'pink 1 of 1']);
      expect([await stored(1), await stored(3)]).to.deep.equal([
        { name: 'navy 1', archived: false },
        { name: 'navy 3', archived: false },
      ]);
    });

    it('is judged anew in a list where another writer has changed it meanwhile, and none of the list is written', async () => {
      meanwhile = async () => {
        meanwhile = async () => {};
        await rooms.em.execute('update room set archived = true where id = 1');
      };
      const data = [
        { pk: 3, data: { name: 'pink' } },
        { pk: 1, data: { name: 'navy' } },
      ];
      expect(await rooms.ann.request('bulk_patch', { data })).to.deep.include({
        response_status: 404,
        errors: [{ 1: ['Not found.'] }],
      });
      expect([await stored(1), await stored(3)]).to.deep.equal([
        { name: 'red', archived: true },
        { name: 'green', archived: false },
      ]);
    });

    it('keeps what two clients write at once, each as its permission allows it', async () => {
      await using other = await connect(rooms.app, '/judged/');
      const rounds = Array.from({ length: 40 }, (_, index) => index + 1);
      const replies = await Promise.all([
        ...rounds.map((round) => patch(1, { name: `n${round}` })),
        ...rounds.map((round) => patch(1, { host: 1 + (round % 2) }, other)),
      ]);
      expect(new Set(replies.map((reply) => reply.response_status))).to.deep.equal(new Set([200]));
      const [row] = await rooms.em.execute<object[]>('select name, host_id from room where id = 1');
      expect(row).to.deep.equal({ name: 'n40', host_id: 1 });
    });

    it('is in one transaction with what a permission reads of the database, in which it is asked anew', async () => {
      await using hosted = await connect(rooms.app, '/hosted/');
      expect(await patch(1, { name: 'pink' }, hosted)).to.deep.include({ response_status: 200 });
      expect(judged).to.deep.equal(['1', '1']);
      const kinds = await kindsOf(() => patch(1, { name: 'navy' }, hosted));
      expect(kinds[0]).to.equal('begin');
      expect(judged).to.deep.equal(['1', '1', '1']);
      expect(await patch(3, { name: 'navy' }, hosted)).to.deep.include({ response_status: 404 });
    });
  });

  describe('of a row that a query of other tables gives', () => {
    for (const where of ['/of-ann/', '/members/']) {
      it(`asks the query of the row that it has locked: ${where}`, async () => {
        await using ann = await connect(rooms.app, where);
        await patch(1, { name: 'pink' }, ann);
        expect(await kindsOf(() => patch(1, { name: 'navy' }, ann))).to.deep.equal(['with']);
        expect(await patch(3, { name: 'navy' }, ann)).to.deep.include({ response_status: 404 });
        expect(await rooms.ann.request('delete', { pk: 3 })).to.deep.include({ response_status: 204 });
        expect(await stored(1)).to.deep.equal({ name: 'navy', archived: false });
      });
    }

    async function writeWhileWaiting(change: (inner: SqlEntityManager) => Promise<unknown>, where = '/of-ann/') {
      await using ann = await connect(rooms.app, where);
      await patch(1, { name: 'pink' }, ann);
      return await whileItWaits(rooms.em, change, () => patch(1, { name: 'navy' }, ann));
    }

    it('finds nothing where the row has left the query while it waited', async () => {
      const reply = await writeWhileWaiting((inner) => inner.execute('update room set host_id = 2 where id = 1'));
      expect(reply).to.deep.include({ response_status: 404 });
      expect(await stored(1)).to.deep.equal({ name: 'pink', archived: false });
    });

    it('writes by the same statement where the row leads to another row by now that the query takes as well', async () => {
      const kinds = await kindsOf(async () => {
        const reply = await writeWhileWaiting(
          (inner) => inner.execute('update room set host_id = 2 where id = 1'),
          '/of-both/',
        );
        expect(reply).to.deep.include({
          response_status: 200,
          data: { id: 1, name: 'navy', archived: false, host: 2 },
        });
      });
      // That of the other writer.
      expect(kinds.filter((kind) => kind === 'begin')).to.deep.equal(['begin']);
    });

    it('does not wait for a transaction that refers to its row', async () => {
      await using ann = await connect(rooms.app, '/of-ann/');
      const referring = Promise.withResolvers<void>();
      const answered = Promise.withResolvers<void>();
      const inserting = rooms.em.transactional(async (inner) => {
        await inner.execute(`insert into message (room_id, text) values (1, 'hello'), (3, 'hello')`);
        referring.resolve();
        await answered.promise;
      });
      await referring.promise;
      const single = patch(1, { archived: true }, ann);
      const list = rooms.ann.request('bulk_patch', { data: [{ pk: 3, data: { archived: true } }] });
      const replies = await within(Promise.all([single, list]), 'The answers').finally(() => answered.resolve());
      await inserting;
      expect(replies.map((reply) => reply.response_status)).to.deep.equal([200, 200]);
    });

    it('writes where the row leads to another row that has come meanwhile', async () => {
      const reply = await writeWhileWaiting(async (inner) => {
        await inner.execute(`update "user" set username = 'former' where id = 1`);
        await inner.execute(`insert into "user" (id, username, password) values (9, 'ann', 'secret')`);
        await inner.execute('update room set host_id = 9 where id = 1');
      });
      expect(reply).to.deep.include({ response_status: 200 });
      expect(await stored(1)).to.deep.equal({ name: 'navy', archived: false });
    });
  });
});

import { expect } from 'chai';
import {
  Consumer,
  Create,
  Delete,
  List,
  ModelConsumer,
  mix,
  ObserveInstance,
  Patch,
  Retrieve,
  Update,
} from 'signalbox';
import { failure, invalid, notFound, reply } from '../support/frames.js';
import { Person, PersonSerializer, Thing, ThingSerializer, thing } from '../support/things.js';
import { useScenarios } from './crud-support.js';

@Consumer()
class PersonConsumer extends mix(
  ModelConsumer(Person, { serializer: PersonSerializer }),
  List,
  Retrieve,
  Create,
  Update,
  Patch,
  Delete,
) {}

@Consumer()
class ThingConsumer extends mix(
  ModelConsumer(Thing, { serializer: ThingSerializer }),
  List,
  Retrieve,
  Create,
  Update,
  Patch,
  Delete,
  ObserveInstance,
) {}

describe('DCRF: CRUD mixins', () => {
  const world = useScenarios('dcrf_crud', { '/ws/users/': PersonConsumer, '/ws/things/': ThingConsumer });
  const people = () => world.open('/ws/users/');
  const things = async () => {
    await world.things(3);
    return world.open('/ws/things/');
  };
  const alice = { id: 1, username: 'alice', email: 'alice@example.com' };
  const bob = { id: 2, username: 'bob', email: 'bob@example.com' };

  it('S106 create stores the row, and answers 201 with it', async () => {
    const a = await people();
    const data = { username: 'test101', email: '42@example.com' };
    expect(await a.request('create', { request_id: 1, data })).to.deep.equal(
      reply('create', { id: 1, ...data }, 1, 201),
    );
    expect(await a.request('list', { request_id: 2 })).to.deep.equal(reply('list', [{ id: 1, ...data }], 2));
  });

  it('S107 (differs) create leaves out what is unknown or made by the database, and converts nothing', async () => {
    const b = await things();
    expect(
      await b.request('create', { request_id: 1, data: { name: 'delta', price: '12.5', tags: [2, 1] } }),
    ).to.deep.equal(reply('create', thing(4, 'delta', { price: '12.50', tags: [1, 2] }), 1, 201));
    expect(
      await b.request('create', { request_id: 2, data: { name: 'eps', id: 77, unknown: 1, count: 4 } }),
    ).to.deep.equal(reply('create', thing(5, 'eps', { count: 4 }), 2, 201));
    expect(await b.request('create', { request_id: 3, data: { name: 'zeta', count: '4' } })).to.deep.equal(
      invalid('create', { count: ['A valid integer is required.'] }, 3),
    );
  });

  it('S108 (differs) create answers 400 with the texts of every invalid field, and 409 to a value that is taken', async () => {
    const a = await things();
    for (const [data, errors] of [
      [{}, { name: ['This field is required.'] }],
      [{ name: null }, { name: ['This field may not be null.'] }],
      [{ name: 'x'.repeat(101) }, { name: ['Ensure this field has no more than 100 characters.'] }],
      [{ name: '' }, { name: ['name must be longer than or equal to 1 characters.'] }],
      [{ name: 5 }, { name: ['Not a valid string.'] }],
      [{ name: 'delta', hidden: 'true' }, { hidden: ['Must be a valid boolean.'] }],
      [{ name: 'delta', owner: 99 }, { owner: ['Invalid pk 99 - object does not exist.'] }],
      [{ name: 'delta', tags: 5 }, { tags: ['Expected a list of items.'] }],
      [
        { count: 'x', price: '1.234' },
        {
          name: ['This field is required.'],
          count: ['A valid integer is required.'],
          price: ['Ensure that there are no more than 2 decimal places.'],
        },
      ],
    ] as const)
      expect(await a.request('create', { request_id: 1, data })).to.deep.equal(invalid('create', errors));
    expect(await a.request('create', { request_id: 2, data: { name: 'alpha' } })).to.deep.equal(
      failure('create', 409, 'conflict', { name: ['An object with this name already exists.'] }, 2),
    );
    const { data: kept } = await a.request('create', { data: { name: ' delta ', description: '' } });
    expect(kept).to.include({ name: ' delta ', description: '' });
  });

  it('S109 (differs) create with data that are no object is a 400', async () => {
    const a = await things();
    for (const data of [5, 'x', [1], [], true]) {
      expect(await a.request('create', { request_id: 1, data })).to.deep.equal(
        invalid('create', { non_field_errors: ['Invalid data. Expected an object.'] }),
      );
    }
    expect(await a.request('create', { request_id: 1, data: null })).to.deep.equal(
      invalid('create', { non_field_errors: ['No data provided.'] }),
    );
  });

  it('S110 (differs) create without data is a 400, and the socket lives on', async () => {
    const a = await things();
    expect(await a.request('create', { request_id: 1 })).to.deep.equal(
      invalid('create', { non_field_errors: ['No data provided.'] }),
    );
    expect(await a.request('create', { data: { name: 'delta' } })).to.include({ response_status: 201 });
  });

  it('S111 list asks the database anew each time', async () => {
    const a = await people();
    expect(await a.request('list', { request_id: 1 })).to.deep.equal(reply('list', []));
    await world.people('alice', 'bob');
    expect(await a.request('list', { request_id: 1 })).to.deep.equal(reply('list', [alice, bob]));
  });

  it('S112 list ignores what comes beside it', async () => {
    await world.people('alice', 'bob');
    expect(await (await people()).request('list', { request_id: 1 })).to.deep.equal(reply('list', [alice, bob]));
    expect(await (await things()).request('list', { request_id: 1, data: {} })).to.deep.equal(
      reply('list', [thing(1, 'alpha'), thing(2, 'beta'), thing(3, 'gamma')]),
    );
  });

  it('S114 (differs) retrieve takes pk beside the action', async () => {
    const a = await people();
    expect(await a.request('retrieve', { request_id: 1, pk: 100 })).to.deep.equal(notFound('retrieve'));
    await world.people('alice', 'bob');
    expect(await a.request('retrieve', { request_id: 1, pk: 0 })).to.deep.equal(notFound('retrieve'));
    expect(await a.request('retrieve', { request_id: 1, pk: 1 })).to.deep.equal(reply('retrieve', alice));
  });

  it('S115 retrieve takes a pk as text', async () => {
    await world.people('alice', 'bob');
    const a = await people();
    expect(await a.request('retrieve', { request_id: 1, pk: 1 })).to.deep.equal(reply('retrieve', alice));
    expect(await a.request('retrieve', { request_id: 2, pk: '2' })).to.deep.equal(reply('retrieve', bob, 2));
  });

  it('S116 (differs) retrieve of what is no key is a 404; 1.5 and true are none', async () => {
    const a = await things();
    for (const pk of [100, null, 'abc', '', [1], { a: 1 }, 1.5, true, -1]) {
      expect(await a.request('retrieve', { request_id: 1, pk }), JSON.stringify(pk)).to.deep.equal(
        notFound('retrieve'),
      );
    }
  });

  it('S117 (differs) retrieve of a pk above 64 bits is a 404 as text, and a 400 as a number that could not be read', async () => {
    const a = await things();
    a.sendText('{"action": "retrieve", "pk": "1000000000000000000000000000000", "request_id": 1}');
    expect(await a.reply(1)).to.deep.equal(notFound('retrieve'));
    a.sendText('{"action": "retrieve", "pk": 1000000000000000000000000000000, "request_id": 2}');
    expect(await a.reply(2)).to.include({ response_status: 400, code: 'parse_error' });
    expect(await a.request('retrieve', { pk: 1 })).to.include({ response_status: 200 });
  });

  it('S119 (differs) update needs the required fields and keeps the others', async () => {
    const a = await people();
    const data = { username: 'test101', email: '42@example.com' };
    expect(await a.request('update', { request_id: 1, pk: 100, data })).to.deep.equal(notFound('update'));
    await world.people('alice', 'bob');
    expect(await a.request('update', { request_id: 2, pk: 1, data: { username: 'test101' } })).to.deep.equal(
      reply('update', { ...alice, username: 'test101' }, 2),
    );
    expect(await a.request('retrieve', { request_id: 3, pk: 1 })).to.deep.equal(
      reply('retrieve', { ...alice, username: 'test101' }, 3),
    );
  });

  it('S120 update does not reset what is not given', async () => {
    const a = await things();
    const em = world.orm.em.fork();
    em.assign(await em.findOneOrFail(Thing, 1), { description: 'keep me', count: 7, price: '3.50' });
    await em.flush();
    expect(await a.request('update', { request_id: 1, pk: 1, data: { name: 'alpha2' } })).to.deep.equal(
      reply('update', thing(1, 'alpha2', { description: 'keep me', count: 7, price: '3.50' })),
    );
  });

  it('S121 (differs) update without a required field is a 400 and writes nothing; a missing row is a 404 before', async () => {
    const a = await things();
    const required = { name: ['This field is required.'] };
    expect(await a.request('update', { request_id: 1, pk: 1, data: { count: 3 } })).to.deep.equal(
      invalid('update', required),
    );
    expect(await a.request('update', { request_id: 2, pk: 1, data: {} })).to.deep.equal(invalid('update', required, 2));
    expect(await a.request('update', { request_id: 3, pk: 100, data: {} })).to.deep.equal(notFound('update', 3));
    expect(await a.request('retrieve', { request_id: 4, pk: 1 })).to.deep.equal(
      reply('retrieve', thing(1, 'alpha'), 4),
    );
  });

  it('S122 (differs) update with the pk inside data only is a 400, and the socket lives on', async () => {
    const a = await things();
    expect(await a.request('update', { request_id: 1, data: { pk: 1, name: 'z' } })).to.deep.equal(
      invalid('update', { pk: ['This field is required.'] }),
    );
    expect(await a.request('retrieve', { request_id: 2, pk: 1 })).to.deep.equal(
      reply('retrieve', thing(1, 'alpha'), 2),
    );
  });

  it('S124 (differs) patch writes what is given, also nothing; a value that is taken is a 409', async () => {
    const a = await things();
    const patched = thing(1, 'alpha', { count: 9 });
    expect(await a.request('patch', { request_id: 1, pk: 1, data: { count: 9 } })).to.deep.equal(
      reply('patch', patched),
    );
    expect(await a.request('patch', { request_id: 2, pk: 1, data: {} })).to.deep.equal(reply('patch', patched, 2));
    expect(await a.request('patch', { request_id: 3, pk: 1, data: { name: 'beta' } })).to.deep.equal(
      failure('patch', 409, 'conflict', { name: ['An object with this name already exists.'] }, 3),
    );
    expect(await a.request('patch', { request_id: 4, pk: 100, data: { count: 9 } })).to.deep.equal(
      notFound('patch', 4),
    );
    expect(await a.request('retrieve', { request_id: 5, pk: 1 })).to.deep.equal(reply('retrieve', patched, 5));
  });

  it('S125 (differs) patch without data is a 400, and the socket lives on', async () => {
    const a = await things();
    expect(await a.request('patch', { request_id: 1, pk: 1 })).to.deep.equal(
      invalid('patch', { non_field_errors: ['No data provided.'] }),
    );
    expect(await a.request('patch', { pk: 1, data: {} })).to.include({ response_status: 200 });
  });

  it('S126 (differs) delete answers 204 with null', async () => {
    const a = await people();
    expect(await a.request('delete', { request_id: 1, pk: 100 })).to.deep.equal(notFound('delete'));
    await world.people('alice', 'bob');
    expect(await a.request('delete', { request_id: 1, pk: 0 })).to.deep.equal(notFound('delete'));
    expect(await a.request('delete', { request_id: 1, pk: 1 })).to.deep.equal(reply('delete', null, 1, 204));
    expect(await a.request('list', { request_id: 2 })).to.deep.equal(reply('list', [bob], 2));
  });

  it('S127 (differs) delete of what is deleted is a 404', async () => {
    const a = await things();
    expect(await a.request('delete', { request_id: 1, pk: 1 })).to.deep.equal(reply('delete', null, 1, 204));
    expect(await a.request('delete', { request_id: 2, pk: 1 })).to.deep.equal(notFound('delete', 2));
  });

  it('S129 the reply to update and patch shows the relations as they are now', async () => {
    const a = await things();
    expect(await a.request('patch', { request_id: 1, pk: 1, data: { tags: [1, 3] } })).to.deep.equal(
      reply('patch', thing(1, 'alpha', { tags: [1, 3] })),
    );
    expect(await a.request('update', { request_id: 2, pk: 1, data: { name: 'alpha', tags: [2] } })).to.deep.equal(
      reply('update', thing(1, 'alpha', { tags: [2] }), 2),
    );
    expect(await a.request('retrieve', { request_id: 3, pk: 1 })).to.deep.equal(
      reply('retrieve', thing(1, 'alpha', { tags: [2] }), 3),
    );
  });
});

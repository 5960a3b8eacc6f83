import type { FilterQuery } from '@mikro-orm/core';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  Consumer,
  Create,
  createApp,
  Delete,
  DetailAction,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  path,
  Retrieve,
  type Route,
  type SerializerContext,
  serializeOne,
  Update,
  type WritingSerializer,
} from 'signalbox';
import { injectable } from 'tsyringe';
import { failure, notFound, reply } from '../support/frames.js';
import { Person, PersonSerializer, ShortSerializer, short, Thing, ThingSerializer, thing } from '../support/things.js';
import { useScenarios } from './crud-support.js';

@Consumer()
class ThingConsumer extends ModelConsumer(Thing, { serializer: ThingSerializer }) {
  @DetailAction()
  brief(one: Thing) {
    return one;
  }

  /** By hand, where an action is no detail action. */
  @Action()
  async byHand(context: ActionContext) {
    const one = await this.getObject(context.kwargs.pk, context);
    return serializeOne(ShortSerializer, one, this.getSerializerContext(context));
  }

  /** Never called: what is forgotten here does not compile. */
  protected async forgetful(one: Thing, context: ActionContext) {
    // @ts-expect-error no context
    await this.getObject(1);
    // @ts-expect-error no context
    this.getSerializer();
    // @ts-expect-error no request
    return serializeOne(ShortSerializer, one, this.getSerializerContext()) ?? context;
  }
}

type Writing = WritingSerializer<Thing, typeof ShortSerializer>;
type Note = [hook: string, ...facts: unknown[]];

let noted: Note[] = [];

@Consumer()
class HooksConsumer extends mix(
  ModelConsumer(Thing, { serializer: ShortSerializer }),
  List,
  Retrieve,
  Create,
  Update,
  Patch,
  Delete,
) {
  #note(hook: string, { action, kwargs }: ActionContext): void {
    noted.push([hook, action, Object.keys(kwargs).sort()]);
  }

  protected override getQuery(context: ActionContext) {
    this.#note('getQuery', context);
    return super.getQuery(context);
  }
  protected override filterQuery(query: FilterQuery<Thing>, context: ActionContext) {
    this.#note('filterQuery', context);
    return super.filterQuery(query, context);
  }
  protected override getObject(pk: unknown, context: ActionContext) {
    this.#note('getObject', context);
    return super.getObject(pk, context);
  }
  protected override getSerializer(context: ActionContext) {
    this.#note('getSerializer', context);
    return super.getSerializer(context);
  }
  protected override getSerializerContext(request: ActionContext): SerializerContext {
    const context = super.getSerializerContext(request);
    noted.push(['context', context.consumer === this, context.request?.scope === this.scope]);
    return context;
  }
  protected override performCreate(serializer: Writing, data: object, context: ActionContext) {
    this.#note('performCreate', context);
    return super.performCreate(serializer, data, context);
  }
  protected override performUpdate(serializer: Writing, one: Thing, data: object, context: ActionContext) {
    this.#note('performUpdate', context);
    return super.performUpdate(serializer, one, data, context);
  }
  protected override performPatch(serializer: Writing, one: Thing, data: object, context: ActionContext) {
    this.#note('performPatch', context);
    return serializer.update(one, data, super.getSerializerContext(context));
  }
  protected override performDelete(one: Thing, context: ActionContext) {
    this.#note('performDelete', context);
    return super.performDelete(one, context);
  }
}

@Consumer()
class ByShelfConsumer extends mix(
  ModelConsumer(Thing, { serializer: ShortSerializer, lookupField: 'shelf' }),
  Retrieve,
) {}

@Consumer()
class BySlugConsumer extends mix(
  ModelConsumer(Person, { serializer: PersonSerializer, lookupField: 'username', lookupUrlKwarg: 'slug' }),
  Retrieve,
  Patch,
  ObserveInstance,
) {}

@Consumer()
class FilteredConsumer extends mix(
  ModelConsumer(Thing, { serializer: ShortSerializer }),
  List,
  Retrieve,
  ObserveInstance,
) {
  protected override getQuery(_context: ActionContext) {
    return { hidden: false };
  }
  protected override filterQuery(query: FilterQuery<Thing>, { kwargs: { shelf } }: ActionContext): FilterQuery<Thing> {
    return typeof shelf === 'number' ? ({ $and: [query, { shelf }] } as FilterQuery<Thing>) : query;
  }
}

@injectable()
class LinkSerializer extends ModelSerializer(Thing, { fields: ['id'], computed: ['url'] }) {
  url({ id }: Thing, { request }: SerializerContext): string {
    return `${request?.scope.path}${id}/`;
  }
}

@Consumer()
class LinkConsumer extends mix(ModelConsumer(Thing, { serializer: LinkSerializer }), List) {}

describe('DCRF: generic consumer hooks', () => {
  const world = useScenarios('dcrf_hooks', {
    '/ws/things/': ThingConsumer,
    '/ws/hooks/': HooksConsumer,
    '/ws/lookup-shelf/': ByShelfConsumer,
    '/ws/lookup-slug/': BySlugConsumer,
    '/ws/instance-filtered/': FilteredConsumer,
    '/ws/links/': LinkConsumer,
  });

  it('S130 (differs) a custom action has its object looked up, and shown by the consumer’s serializer', async () => {
    const a = await world.open('/ws/things/');
    expect(await a.request('brief', { request_id: 1, pk: 2 })).to.deep.equal(notFound('brief'));
    await world.things(2);
    expect(await a.request('brief', { request_id: 2, pk: 2 })).to.deep.equal(reply('brief', thing(2, 'beta'), 2));
  });

  it('S131 (differs) a custom action looks up and serializes by hand, and does not compile without its context', async () => {
    await world.things(3);
    const a = await world.open('/ws/things/');
    expect(await a.request('by_hand', { request_id: 1, pk: 100 })).to.deep.equal(notFound('by_hand'));
    expect(await a.request('by_hand', { request_id: 2, pk: 2 })).to.deep.equal(reply('by_hand', short(2, 'beta'), 2));
  });

  it('S132 (differs) every hook is told the action and all kwargs, and serializers the consumer and the scope', async () => {
    await world.things(3);
    const a = await world.open('/ws/hooks/');
    const notes = async (action: string, kwargs: object) => {
      noted = [];
      await a.request(action, { ...kwargs, x: 1 });
      return noted;
    };
    const context = ['context', true, true];
    expect(await notes('list', {})).to.deep.equal([
      ['getQuery', 'list', ['x']],
      ['filterQuery', 'list', ['x']],
      ['getSerializer', 'list', ['x']],
      context,
    ]);
    const find = (action: string, keys: readonly string[]) =>
      ['getObject', 'getQuery', 'filterQuery'].map((hook) => [hook, action, keys]);
    expect(await notes('retrieve', { pk: 1 })).to.deep.equal([
      ...find('retrieve', ['pk', 'x']),
      ['getSerializer', 'retrieve', ['pk', 'x']],
      context,
    ]);
    /** One line for each hook, however often it was asked: whatever it is told, it is told each time. */
    const told = (notes: readonly Note[]) =>
      [...new Set(notes.map((note) => JSON.stringify(note)))].map((note) => JSON.parse(note));
    const written = (action: string, perform: string) => [
      ...find(action, ['data', 'pk', 'x']),
      context,
      ['getSerializer', action, ['data', 'pk', 'x']],
      [perform, action, ['data', 'pk', 'x']],
    ];
    expect(told(await notes('create', { data: { name: 'h1' } }))).to.deep.equal([
      context,
      ['getSerializer', 'create', ['data', 'x']],
      ['performCreate', 'create', ['data', 'x']],
    ]);
    expect(told(await notes('update', { pk: 1, data: { name: 'h2' } }))).to.deep.equal(
      written('update', 'performUpdate'),
    );
    expect(told(await notes('patch', { pk: 1, data: { name: 'h3' } }))).to.deep.equal(written('patch', 'performPatch'));
    expect(told(await notes('delete', { pk: 1 }))).to.deep.equal([
      ...find('delete', ['pk', 'x']),
      ['performDelete', 'delete', ['pk', 'x']],
    ]);
  });

  it('S134 (differs) a lookup that several rows answer is a 409', async () => {
    await world.things(3);
    const em = world.orm.em.fork();
    (await em.findOneOrFail(Thing, 3)).shelf = 2;
    await em.flush();
    const a = await world.open('/ws/lookup-shelf/');
    expect(await a.request('retrieve', { request_id: 1, shelf: 1 })).to.deep.equal(
      failure('retrieve', 409, 'conflict', 'Several objects have this shelf.'),
    );
    expect(await a.request('retrieve', { request_id: 2, shelf: 2 })).to.deep.equal(
      reply('retrieve', short(3, 'gamma', 2), 2),
    );
    for (const shelf of [3, 'x', null, 1.5, true]) {
      expect(await a.request('retrieve', { request_id: 3, shelf })).to.deep.equal(notFound('retrieve', 3));
    }
  });

  it('S135 (differs) the query and its filter narrow list and retrieve', async () => {
    await world.things(3);
    const em = world.orm.em.fork();
    (await em.findOneOrFail(Thing, 2)).hidden = true;
    (await em.findOneOrFail(Thing, 3)).shelf = 2;
    await em.flush();
    const a = await world.open('/ws/instance-filtered/');
    expect(await a.request('list', { request_id: 1 })).to.deep.equal(
      reply('list', [short(1, 'alpha'), short(3, 'gamma', 2)]),
    );
    expect(await a.request('list', { request_id: 2, shelf: 2 })).to.deep.equal(
      reply('list', [short(3, 'gamma', 2)], 2),
    );
    expect(await a.request('retrieve', { request_id: 3, pk: 2 })).to.deep.equal(notFound('retrieve', 3));
    expect(await a.request('retrieve', { request_id: 4, pk: 3, shelf: 1 })).to.deep.equal(notFound('retrieve', 4));
  });

  it('S136 (differs) a model and a serializer are arguments that the compiler asks for, and serializers know the request', async () => {
    // @ts-expect-error no serializer
    void (() => ModelConsumer(Thing, {}));
    // @ts-expect-error no options
    void (() => ModelConsumer(Thing));
    // @ts-expect-error no model
    void (() => ModelConsumer({ serializer: LinkSerializer }));
    // @ts-expect-error the serializer of another model
    void (() => ModelConsumer(Thing, { serializer: PersonSerializer }));
    await world.things(2);
    const a = await world.open('/ws/links/');
    expect(await a.request('list', { request_id: 1 })).to.deep.equal(
      reply('list', [
        { id: 1, url: '/ws/links/1/' },
        { id: 2, url: '/ws/links/2/' },
      ]),
    );
  });

  it('S137 (differs) a query is a condition, asked anew by each request', async () => {
    const a = await world.open('/ws/instance-filtered/');
    expect(await a.request('list', { request_id: 1 })).to.deep.equal(reply('list', []));
    await world.things(1);
    expect(await a.request('list', { request_id: 2 })).to.deep.equal(reply('list', [short(1, 'alpha')], 2));
  });

  it('looks objects up by the column and the kwarg that the consumer names, in subscriptions too', async () => {
    await world.people('alice', 'bob');
    const a = await world.open('/ws/lookup-slug/');
    const bob = { id: 2, username: 'bob', email: 'bob@example.com' };
    expect(await a.request('retrieve', { request_id: 1, slug: 'bob' })).to.deep.equal(reply('retrieve', bob));
    expect(await a.request('retrieve', { request_id: 2, slug: 'eve' })).to.deep.equal(notFound('retrieve', 2));
    expect(await a.request('retrieve', { request_id: 3, pk: 2 })).to.deep.include({
      errors: [{ slug: ['This field is required.'] }],
      response_status: 400,
    });
    await a.request('subscribe_instance', { request_id: 4, slug: 'bob' });
    const b = await world.open('/ws/lookup-slug/');
    await b.request('patch', { slug: 'bob', data: { email: 'b@example.com' } });
    expect(await a.receive()).to.deep.equal(reply('update', { ...bob, email: 'b@example.com' }, 4));
    const ended = await a.request('unsubscribe_instance', { request_id: 4, slug: 'bob' });
    expect(ended).to.deep.equal(reply('unsubscribe_instance', null, 4, 204));
    await b.request('patch', { slug: 'bob', data: { email: 'c@example.com' } });
    await a.expectSilence();
  });

  it('refuses a lookup by what is no column when the application is created', () => {
    @Consumer()
    class Wrong extends mix(ModelConsumer(Thing, { serializer: ShortSerializer, lookupField: 'tags' }), Retrieve) {}
    expect(() => createApp<readonly Route[]>({ orm: world.orm, routes: [path('/', Wrong)] })).to.throw(
      'Wrong.tags: is the lookupField, and no column of Thing.',
    );
  });
});

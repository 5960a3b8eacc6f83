import type { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import { IsInt } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  Consumer,
  Create,
  GroupsForConsumer,
  GroupsForSignal,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  path,
  type Subscription,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { done, event } from '../support/frames.js';
import { save, Tag, Thing, thingModels, useThings } from '../support/things.js';

@injectable()
class TaggedSerializer extends ModelSerializer(Thing, { fields: ['id', 'name', 'tags'], readOnly: ['id'] }) {}

class TagKey {
  @IsInt() tag!: number;
}

@Consumer()
class Instances extends mix(ModelConsumer(Thing, { serializer: TaggedSerializer }), Create, Patch, ObserveInstance) {}

@Consumer()
class SubInstances extends Instances {}

@Consumer()
class Watching extends ApiConsumer {
  @Action({ status: 201 })
  async watch(context: ActionContext) {
    await this.subscribe(this.onThing, {}, context);
  }
  @Action({ status: 201 })
  async watchTags(context: ActionContext) {
    await this.subscribe(this.onTag, {}, context);
  }
  @Action({ status: 201 })
  async watchTag({ tag }: TagKey, context: ActionContext) {
    await this.subscribe(this.onTagged, { tag }, context);
  }

  @ModelObserver(() => Thing, { serializer: TaggedSerializer })
  async onThing(event: ModelEvent<TaggedSerializer>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
  @ModelObserver(() => Tag)
  async onTag(event: ModelEvent<Tag, { pk: number }>, subscription: Subscription<object>) {
    await subscription.send(event);
  }

  /** Groups that are derived from the members of a relation. */
  @ModelObserver(() => Thing)
  async onTagged(event: ModelEvent<Thing, { pk: number }>, subscription: Subscription<TagKey>) {
    await subscription.send(event);
  }
  @GroupsForSignal('onTagged') protected *groupsOfThing({ tags }: Thing) {
    for (const { id } of tags) yield `tag-${id}`;
  }
  @GroupsForConsumer('onTagged') protected *groupsOfTag({ tag }: TagKey) {
    yield `tag-${tag}`;
  }
}

describe('Many-to-many relations, as DCRF recorded them', () => {
  const database = useDatabase('dcrf_many_to_many', thingModels);
  const things = useThings(database, [
    path('/ws/instance/', Instances),
    path('/ws/sub/', SubInstances),
    path('/ws/m2m/', Watching),
  ]);

  /** From the owning side; `loads` the collection first or changes it unread. */
  async function forward(pk: number, change: (thing: Thing, tag: (id: number) => Tag) => void, loads = true) {
    const em = database.orm.em.fork();
    const thing = await em.findOneOrFail(Thing, pk, { populate: loads ? ['tags'] : [] });
    change(thing, (id) => em.getReference(Tag, id));
    await em.flush();
  }
  async function reverse(pk: number, change: (tag: Tag, thing: (id: number) => Thing) => void, loads = true) {
    const em = database.orm.em.fork();
    const tag = await em.findOneOrFail(Tag, pk, { populate: loads ? ['things'] : [] });
    change(tag, (id) => em.getReference(Thing, id));
    await em.flush();
  }
  async function watching(action = 'watch', kwargs = {}): Promise<TestConnection> {
    const connection = await connect(things.app, '/ws/m2m/');
    expect(await connection.request(action, { ...kwargs, request_id: 1 })).to.deep.equal(done(action, 201));
    return connection;
  }
  const tagged = (id: number, tags: number[]) =>
    event('update', { id, name: ['alpha', 'beta', 'gamma'][id - 1], tags });
  async function expectTags(connection: TestConnection, id: number, tags: number[]): Promise<void> {
    const frame = await connection.receive();
    (frame.data as { tags: number[] }).tags.sort();
    expect(frame).to.deep.equal(tagged(id, tags));
  }

  it('S247 (differs) tells one instance its relation, changed from both sides', async () => {
    await using ann = await connect(things.app, '/ws/instance/');
    await ann.request('subscribe_instance', { pk: 1, request_id: 1 });
    await forward(1, ({ tags }, tag) => tags.add(tag(1), tag(2)));
    await expectTags(ann, 1, [1, 2]);
    await forward(2, ({ tags }, tag) => tags.add(tag(3)));
    await ann.expectSilence();
    await reverse(3, (tag, thing) => tag.things.add(thing(1), thing(2)));
    await expectTags(ann, 1, [1, 2, 3]);
    await reverse(1, (tag, thing) => tag.things.remove(thing(1)));
    await expectTags(ann, 1, [2, 3]);
    await forward(1, ({ tags }) => tags.removeAll());
    await expectTags(ann, 1, []);
    await forward(1, ({ tags }, tag) => tags.set([tag(1), tag(2)]));
    await expectTags(ann, 1, [1, 2]);
    await forward(2, ({ tags }, tag) => tags.set([tag(1)]));
    await reverse(2, (tag) => tag.things.removeAll());
    await expectTags(ann, 1, [1]);
    await ann.expectSilence();
  });

  it('S249 (differs) tells relations without being asked to', async () => {
    await using ann = await connect(things.app, '/ws/instance/');
    await ann.request('subscribe_instance', { pk: 1, request_id: 1 });
    await forward(1, ({ tags }, tag) => tags.add(tag(1), tag(2)), false);
    await expectTags(ann, 1, [1, 2]);
    await reverse(1, (tag, thing) => tag.things.remove(thing(1)));
    await expectTags(ann, 1, [2]);
    await forward(1, ({ tags }) => tags.removeAll(), false);
    await expectTags(ann, 1, []);
  });

  it('S250 (differs) tells additions, removals, clears and sets of the owning side, and nothing where nothing changed', async () => {
    await using ann = await watching();
    await forward(1, ({ tags }, tag) => tags.add(tag(1), tag(2)));
    await expectTags(ann, 1, [1, 2]);
    await forward(1, ({ tags }, tag) => tags.add(tag(1), tag(2)), false);
    await ann.expectSilence();
    await forward(1, ({ tags }, tag) => tags.remove(tag(1)));
    await expectTags(ann, 1, [2]);
    await forward(1, ({ tags }, tag) => tags.remove(tag(3)));
    await ann.expectSilence();
    await forward(1, ({ tags }) => tags.removeAll());
    await expectTags(ann, 1, []);
    await forward(1, ({ tags }) => tags.removeAll(), false);
    await ann.expectSilence();
    await forward(1, ({ tags }, tag) => tags.set([tag(2), tag(3)]), false);
    await expectTags(ann, 1, [2, 3]);
    await forward(1, ({ tags }, tag) => tags.set([tag(1), tag(2)]));
    await expectTags(ann, 1, [1, 2]);
    await forward(1, ({ tags }, tag) => tags.set([tag(1), tag(2)]), false);
    await ann.expectSilence();
    await forward(1, ({ tags }) => tags.set([]));
    await expectTags(ann, 1, []);
  });

  it('S251 (differs) tells the rows that the other side really changes, with their relations as they are then', async () => {
    await using ann = await watching();
    await reverse(1, (tag, thing) => tag.things.add(thing(1), thing(2)));
    await expectTags(ann, 1, [1]);
    await expectTags(ann, 2, [1]);
    await reverse(1, (tag, thing) => tag.things.add(thing(1)), false);
    await ann.expectSilence();
    await reverse(1, (tag, thing) => tag.things.remove(thing(2)));
    await expectTags(ann, 2, []);
    await reverse(1, (tag, thing) => tag.things.set([thing(2), thing(3)]));
    const frames = [await ann.receive(), await ann.receive(), await ann.receive()];
    expect(frames).to.have.deep.members([tagged(1, []), tagged(2, [1]), tagged(3, [1])]);
    await reverse(1, (tag) => tag.things.removeAll(), false);
    expect([await ann.receive(), await ann.receive()]).to.have.deep.members([tagged(2, []), tagged(3, [])]);
    await reverse(1, (tag) => tag.things.removeAll(), false);
    await ann.expectSilence();
  });

  it('S252 (differs) tells nothing of a row of the pivot table that SQL writes, nor of a change of the related row itself', async () => {
    await using ann = await watching();
    await database.orm.em.getConnection().execute('insert into "thing_tags" ("thing_id", "tag_id") values (1, 1)');
    const em = database.orm.em.fork();
    const tag = await em.findOneOrFail(Tag, 1);
    tag.name = 'crimson';
    await em.flush();
    await ann.expectSilence();
    em.remove(tag);
    await em.flush();
    await expectTags(ann, 1, []);
  });

  it('S254 (differs) tells the rows at the far end as well, whose own relation has changed', async () => {
    await using ann = await watching('watch_tags');
    const update = { errors: [], data: { pk: 1 }, action: 'update', response_status: 200, request_id: 1 };
    await forward(1, ({ tags }, tag) => tags.add(tag(1)));
    expect(await ann.receive()).to.deep.equal(update);
    await reverse(1, (tag, thing) => tag.things.add(thing(2)));
    expect(await ann.receive()).to.deep.equal(update);
    await forward(1, ({ tags }, tag) => tags.add(tag(1)), false);
    await ann.expectSilence();
  });

  it('S255 (differs) tells one event per row and transaction', async () => {
    await using ann = await watching();
    await forward(1, (thing, tag) => {
      thing.count = 1;
      thing.tags.add(tag(1));
    });
    await expectTags(ann, 1, [1]);
    const link = async (em: EntityManager, pk: number): Promise<void> => {
      const tag = await em.findOneOrFail(Tag, pk, { populate: ['things'] });
      tag.things.add(em.getReference(Thing, 2));
      await em.flush();
    };
    await database.orm.em.fork().transactional(async (em) => {
      await link(em, 1);
      await link(em, 2);
    });
    await expectTags(ann, 2, [1, 2]);
    await ann.expectSilence();
  });

  it('S256 (differs) tells one event of a request that writes columns and a relation', async () => {
    await using ann = await watching();
    await using bob = await connect(things.app, '/ws/instance/');
    await bob.request('patch', { pk: 1, data: { name: 'both', tags: [1, 2] }, request_id: 1 });
    expect(await ann.receive()).to.deep.equal(event('update', { id: 1, name: 'both', tags: [1, 2] }));
    await bob.request('create', { data: { name: 'both2', tags: [3] }, request_id: 2 });
    expect(await ann.receive()).to.deep.equal(event('create', { id: 4, name: 'both2', tags: [3] }));
    await ann.expectSilence();
  });

  it('S257 (differs) tells relations to a consumer that extends another', async () => {
    await using ann = await connect(things.app, '/ws/sub/');
    await ann.request('subscribe_instance', { pk: 1, request_id: 4 });
    await forward(1, ({ tags }, tag) => tags.add(tag(1)));
    expect(await ann.receive()).to.deep.equal(event('update', { id: 1, name: 'alpha', tags: [1] }, 4));
  });

  it('tells the owners of a row that the other side removes', async () => {
    await forward(1, ({ tags }, tag) => tags.add(tag(1), tag(2)));
    await forward(2, ({ tags }, tag) => tags.add(tag(2)));
    await things.app.idle();
    await using ann = await watching();
    const em = database.orm.em.fork();
    em.remove(await em.findOneOrFail(Tag, 2));
    await em.flush();
    const frames = [await ann.receive(), await ann.receive()];
    expect(frames).to.have.deep.members([tagged(1, [1]), tagged(2, [])]);
    em.remove(await em.findOneOrFail(Tag, 3));
    await em.flush();
    await ann.expectSilence();
  });

  it('tells one event of an owner that is written in the flush that removes its member, and a delete of one that goes too', async () => {
    await forward(1, ({ tags }, tag) => tags.add(tag(1)));
    await forward(2, ({ tags }, tag) => tags.add(tag(1)));
    await things.app.idle();
    await using ann = await watching();
    const em = database.orm.em.fork();
    const [first, second] = [await em.findOneOrFail(Thing, 1), await em.findOneOrFail(Thing, 2)];
    em.remove(em.getReference(Tag, 1)).remove(second);
    first.name = 'renamed';
    await em.flush();
    const frames = [await ann.receive(), await ann.receive()];
    expect(frames).to.have.deep.members([
      event('update', { id: 1, name: 'renamed', tags: [] }),
      event('delete', { pk: 2 }),
    ]);
    await ann.expectSilence();
  });

  it('tells nothing of owners where the removal is rolled back', async () => {
    await forward(1, ({ tags }, tag) => tags.add(tag(1)));
    await things.app.idle();
    await using ann = await watching();
    const rolledBack = database.orm.em.fork().transactional(async (em) => {
      em.remove(em.getReference(Tag, 1));
      await em.flush();
      throw new Error('no');
    });
    await rolledBack.catch(() => undefined);
    await ann.expectSilence();
  });

  describe('Groups that are derived from members', () => {
    it('see them before and after: a row that is tagged comes, one that is untagged goes', async () => {
      await using ann = await watching('watch_tag', { tag: 1 });
      await forward(1, ({ tags }, tag) => tags.add(tag(1), tag(2)), false);
      expect(await ann.receive()).to.deep.equal(event('create', { pk: 1 }));
      await forward(1, ({ tags }, tag) => tags.add(tag(3)), false);
      expect(await ann.receive()).to.deep.equal(event('update', { pk: 1 }));
      await save(database.orm, 1, { count: 1 });
      expect(await ann.receive()).to.deep.equal(event('update', { pk: 1 }));
      await forward(1, ({ tags }) => tags.removeAll(), false);
      expect(await ann.receive()).to.deep.equal(event('delete', { pk: 1 }));
      await ann.expectSilence();
    });

    it('see those of a row that is created or deleted with them', async () => {
      await using ann = await watching('watch_tag', { tag: 1 });
      const em = database.orm.em.fork();
      const thing = em.create(Thing, { name: 'new', tags: [1, 2] });
      await em.flush();
      expect(await ann.receive()).to.deep.equal(event('create', { pk: 4 }));
      em.remove(thing);
      await em.flush();
      expect(await ann.receive()).to.deep.equal(event('delete', { pk: 4 }));
    });

    it('see the members that the other side removes', async () => {
      await forward(1, ({ tags }, tag) => tags.add(tag(1)));
      await things.app.idle();
      await using ann = await watching('watch_tag', { tag: 1 });
      const em = database.orm.em.fork();
      em.remove(await em.findOneOrFail(Tag, 1));
      await em.flush();
      expect(await ann.receive()).to.deep.equal(event('delete', { pk: 1 }));
      await ann.expectSilence();
    });

    it('see what the other side changes without having read it', async () => {
      await using ann = await watching('watch_tag', { tag: 1 });
      await reverse(1, (tag, thing) => tag.things.add(thing(1), thing(2)), false);
      expect(await ann.receive()).to.deep.equal(event('create', { pk: 1 }));
      expect(await ann.receive()).to.deep.equal(event('create', { pk: 2 }));
      await reverse(1, (tag) => tag.things.removeAll(), false);
      expect([await ann.receive(), await ann.receive()]).to.have.deep.members([
        event('delete', { pk: 1 }),
        event('delete', { pk: 2 }),
      ]);
    });
  });
});

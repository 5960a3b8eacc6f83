import { Collection, type Rel } from '@mikro-orm/core';
import { Entity, ManyToMany, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import {
  type App,
  Consumer,
  createApp,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  path,
  Retrieve,
  type SerializerContext,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { testProviders } from '../support/providers.js';
import { entitiesOf } from '../support/queries.js';

@Entity()
class Shop {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
}

@Entity()
class Label {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) text!: string;
}

@Entity()
class Offer {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) title!: string;
  @Property({ type: 'datetime' }) until!: Date;
  @Property({ type: 'bigint' }) cents!: bigint;
  @ManyToOne(() => Shop, { nullable: true }) shop?: Rel<Shop>;
  @ManyToMany(() => Label) labels = new Collection<Label>(this);
}

@injectable()
class OfferSerializer extends ModelSerializer(Offer, {
  fields: ['id', 'title'],
  computed: ['ends', 'place', 'words', 'later'],
  reads: { ends: ['until', 'cents'], place: ['shop.name'], words: ['labels.text'], later: ['title'] },
}) {
  ends({ until, cents }: Pick<Offer, 'until' | 'cents'>) {
    return `${until.getUTCFullYear()} for ${cents / 100n}`;
  }
  place({ shop }: { shop: { name: string } | null }) {
    return shop?.name ?? 'nowhere';
  }
  words({ labels }: { labels: readonly { text: string }[] }) {
    return labels.map(({ text }) => text).join(' ');
  }
  async later({ title }: Pick<Offer, 'title'>, { request }: SerializerContext) {
    return `${title} by ${request?.action ?? 'event'}`;
  }
}

@Consumer()
class OfferConsumer extends mix(
  ModelConsumer(Offer, { serializer: OfferSerializer }),
  List,
  Retrieve,
  Patch,
  ObserveInstance,
) {}

describe('A computed field that says what it reads', () => {
  const database = useDatabase('computed_reads', [Shop, Label, Offer]);
  let app: App;
  let offers: TestConnection;

  const row = (by: string, title = 'Tea') => ({
    id: 1,
    title,
    ends: '2026 for 7',
    place: 'Corner',
    words: 'hot green',
    later: `${title} by ${by}`,
  });

  beforeEach(async () => {
    const em = database.orm.em.fork();
    const [hot, green] = [em.create(Label, { id: 1, text: 'hot' }), em.create(Label, { id: 2, text: 'green' })];
    const shop = em.create(Shop, { id: 1, name: 'Corner' });
    const labels = [green, hot];
    em.create(Offer, { id: 1, title: 'Tea', until: new Date('2026-05-01T12:00:00Z'), cents: 700n, shop, labels });
    em.create(Offer, { id: 2, title: 'Air', until: new Date('2027-05-01T12:00:00Z'), cents: 0n });
    await em.flush();
    app = createApp({
      orm: database.orm,
      container: testProviders().container,
      routes: [path('/offers/', OfferConsumer)],
    });
    offers = await connect(app, '/offers/');
  });
  afterEach(() => app.close());

  it('is called with just that, in lists and by retrieve, and makes no entity', async () => {
    const made = await entitiesOf(async () => {
      const { data: list } = await offers.request('list');
      const { data: one } = await offers.request('retrieve', { pk: 1 });

      expect(list).to.deep.equal([
        row('list'),
        { id: 2, title: 'Air', ends: '2027 for 0', place: 'nowhere', words: '', later: 'Air by list' },
      ]);
      expect(one).to.deep.equal(row('retrieve'));
    });

    expect(made).to.equal(0);
  });

  it('is called with the whole entity where a write has made one', async () => {
    const { data } = await offers.request('patch', { pk: 1, data: { title: 'Mint' } });

    expect(data).to.deep.equal(row('patch', 'Mint'));
  });

  it('shows events as retrieve shows the row', async () => {
    await offers.request('subscribe_instance', { pk: 1, request_id: 's' });
    await offers.request('patch', { pk: 1, data: { title: 'Mint' } });

    expect(await offers.receive()).to.deep.include({ action: 'update', data: row('retrieve', 'Mint') });
  });

  for (const { reads, text } of [
    {
      reads: 'shop',
      text: 'ShopSerializer.place: says that it reads "shop", and Offer.shop is a relation. Name a column of it: "shop.id".',
    },
    {
      reads: 'shop.nam',
      text: 'ShopSerializer.place: says that it reads "shop.nam", and Shop.nam is no column. Name columns, and columns of relations: "room.name".',
    },
  ]) {
    it(`is refused at start-up where it says ${reads}`, () => {
      @injectable()
      class ShopSerializer extends ModelSerializer(Offer, {
        fields: ['id'],
        computed: ['place'],
        reads: { place: [reads as 'shop.name'] },
      }) {
        place() {
          return '';
        }
      }
      @Consumer()
      class ShopConsumer extends mix(ModelConsumer(Offer, { serializer: ShopSerializer }), List) {}
      const { container } = testProviders();

      expect(() => createApp({ orm: database.orm, container, routes: [path('/', ShopConsumer)] })).to.throw(text);
    });
  }

  it('fails with the relation that it needs where it does not say so', async () => {
    @injectable()
    class PlaceSerializer extends ModelSerializer(Offer, { fields: ['id'], computed: ['place'] }) {
      place({ shop }: Offer) {
        return shop?.name.toUpperCase();
      }
    }
    @Consumer()
    class PlaceConsumer extends mix(ModelConsumer(Offer, { serializer: PlaceSerializer }), Retrieve) {}
    const { container, logger } = testProviders();
    const other = createApp({ orm: database.orm, container, routes: [path('/', PlaceConsumer)] });
    const client = await connect(other, '/');

    expect(await client.request('retrieve', { pk: 1 })).to.deep.include({ response_status: 500 });
    expect(logger.at('error').map(({ fields }) => String(fields['error']))).to.deep.equal([
      'ConfigurationError: PlaceSerializer.place: failed on a row of Offer whose shop, labels are not loaded: ' +
        "Cannot read properties of undefined (reading 'toUpperCase') " +
        "Declare what it reads: reads: { place: ['shop.…'] }, or name the relations that it needs in populate.",
    ]);
    await other.close();
  });
});

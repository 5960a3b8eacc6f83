import { expect } from 'chai';
import { QuickInfo } from './support/quick-info.js';

/** Marks stand before what is looked at. */
const program = `
import {
  Action, type ActionContext, type AppApi, Consumer, Create, createApp, demultiplexer, DetailAction, LimitOffsetPaginator,
  List, type ModelEvent, ModelConsumer, ModelObserver, ModelSerializer, mix, ObserveInstance, path, type PerformCreate,
  Retrieve, type Subscription,
} from 'signalbox';
import { createClient } from 'signalbox/client';
import { Message, Room } from './entities.js';
import { some } from './support.js';

class RoomSerializer extends /*serializer*/ModelSerializer(Room, { fields: ['id', 'name'] }) {}
class MessageSerializer extends ModelSerializer(Message, { fields: ['id', 'text'] }) {}
class Rename { name!: string }
interface RoomKey { readonly room: number }

@Consumer()
class RoomConsumer extends /*mix*/mix(
  /*consumer*/ModelConsumer(Room, { serializer: RoomSerializer }), List, Retrieve, Create, ObserveInstance,
) {
  @DetailAction() async rename(room: Room, { name }: Rename, _context: ActionContext) {
    room.name = name;
    return room;
  }
  @Action() async follow(context: ActionContext) {
    await this.subscribe(this.onMessage, { room: 1 }, context);
    await this./*inherited*/list(context);
  }
  @ModelObserver(() => Message, { serializer: MessageSerializer })
  async onMessage(/*event*/event: ModelEvent<MessageSerializer>, subscription: Subscription<RoomKey>) {
    if (event.action !== 'delete') /*data*/event.data;
    await subscription.send(event);
  }
}

const Pages = /*options*/ModelConsumer(Room, {
  serializer: RoomSerializer, paginator: LimitOffsetPaginator, filters: { fields: ['archived'] }, lookupField: 'name',
});
class PageConsumer extends mix(Pages, List) {
  protected override performCreate(...[/*writing*/serializer, /*written*/data, context]: PerformCreate<RoomSerializer>) {
    return super.performCreate(serializer, data, context);
  }
}

const app = createApp({ orm: some(), routes: [path('/ws/', demultiplexer({ rooms: RoomConsumer, pages: PageConsumer }))] });
const client = createClient<AppApi<typeof app>>('ws://localhost/ws/');
/*client.list*/client.rooms.list();
/*client.rename*/client.rooms.rename({ pk: 1, name: 'red' });
/*client.create*/client.rooms.create({ data: { name: 'red' } });
client.rooms.$on('onMessage', 'follow', {}, (/*client.event*/event) => event);
client.rooms.$onInstance(some(), (/*client.instance*/event) => event);
`;

describe('What an editor shows', function () {
  // The language service reads the libraries first.
  this.timeout(60_000);
  let info: QuickInfo;

  before(() => {
    info = new QuickInfo(program);
    expect(info.errors).to.deep.equal([]);
  });

  const shows = (mark: string, text: string): void => {
    it(`of ${mark}`, () => expect(info.of(mark)).to.equal(text.trim()));
  };

  describe('on the server', () => {
    shows(
      'serializer',
      `
(alias) ModelSerializer<Room, {
    readonly fields: readonly ["id", "name"];
}>(entity: ConcreteClass<Room>, options: {
    readonly fields: readonly ["id", "name"];
}): ModelSerializerClass<Room, {
    readonly fields: readonly ["id", "name"];
}>
import ModelSerializer`,
    );
    shows(
      'consumer',
      `
(alias) ModelConsumer<Room, {
    readonly serializer: typeof RoomSerializer;
}>(entity: ConcreteClass<Room>, options: {
    readonly serializer: typeof RoomSerializer;
}): ModelConsumerClass<Room, {
    readonly serializer: typeof RoomSerializer;
}>
import ModelConsumer`,
    );
    shows(
      'options',
      `
(alias) ModelConsumer<Room, {
    readonly serializer: typeof RoomSerializer;
    readonly paginator: typeof LimitOffsetPaginator;
    readonly filters: {
        readonly fields: readonly ["archived"];
    };
    readonly lookupField: "name";
}>(entity: ConcreteClass<Room>, options: {
    readonly serializer: typeof RoomSerializer;
    readonly paginator: typeof LimitOffsetPaginator;
    readonly filters: {
        readonly fields: readonly ["archived"];
    };
    readonly lookupField: "name";
}): ModelConsumerClass<Room, {
    readonly serializer: typeof RoomSerializer;
    readonly paginator: typeof LimitOffsetPaginator;
    readonly filters: {
        readonly fields: readonly ["archived"];
    };
    readonly lookupField: "name";
}>
import ModelConsumer`,
    );
    shows(
      'mix',
      `
(alias) mix<Room, {
    readonly serializer: typeof RoomSerializer;
}, [List, Retrieve, Create, ObserveInstance]>(base: ModelConsumerClass<Room, {
    readonly serializer: typeof RoomSerializer;
}>, mixins_0: List, mixins_1: Retrieve, mixins_2: Create, mixins_3: ObserveInstance): MixedConsumerClass<Room, {
    readonly serializer: typeof RoomSerializer;
}, [List, Retrieve, Create, ObserveInstance]>
import mix`,
    );
    shows('writing', '(parameter) serializer: WritingSerializer<Room, RoomSerializer>');
    shows(
      'written',
      `
(parameter) data: ModelData<Room, {
    readonly fields: readonly ["id", "name"];
}>`,
    );
    shows(
      'inherited',
      `
(method) ListActions<MixinModel & MixedInto<Room, { readonly serializer: typeof RoomSerializer; }>>.list(context: ActionContext): Promise<Room[]>`,
    );
    shows('event', '(parameter) event: ModelEvent<MessageSerializer>');
    shows(
      'data',
      `
(property) ModelWritten<Message, { id: number; text: string; }>.data: {
    id: number;
    text: string;
}`,
    );
  });

  describe('on the client', () => {
    shows(
      'client.list',
      `
(method) list(kwargs?: Record<string, never> | undefined, options?: RequestOptions | undefined): Promise<{
    id: number;
    name: string;
}[]>`,
    );
    shows(
      'client.rename',
      `
(method) rename(kwargs: {
    pk: number;
    name: string;
}, options?: RequestOptions | undefined): Promise<{
    id: number;
    name: string;
}>`,
    );
    shows(
      'client.create',
      `
(method) create(kwargs: {
    data: {
        name: string;
        id?: number;
    };
}, options?: RequestOptions | undefined): Promise<{
    id: number;
    name: string;
}>`,
    );
    shows(
      'client.event',
      `
(parameter) event: {
    readonly action: "create" | "update";
    readonly data: {
        id: number;
        text: string;
    };
} | {
    readonly action: "delete";
    readonly data: {
        pk: number;
    };
}`,
    );
    shows(
      'client.instance',
      `
(parameter) event: {
    readonly action: "create" | "update";
    readonly data: {
        id: number;
        name: string;
    };
} | {
    readonly action: "delete";
    readonly data: {
        pk: number;
    };
}`,
    );
  });
});

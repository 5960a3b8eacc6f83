import { Expose } from 'class-transformer';
import { type ActionApi, type ConsumerApi, nodeView, route, viewAsConsumer } from 'signalbox';
import { same, some } from './support.js';

class RoomView {
  @Expose() id!: number;
  @Expose() since!: Date;
}

const Rooms = viewAsConsumer(() => Response.json({}), {
  retrieve: route('GET /rooms/:pk', RoomView),
  tag: route('PUT /rooms/:room/tags/:name'),
});
type Api = ConsumerApi<InstanceType<typeof Rooms>>['actions'];

same<keyof Api, 'retrieve' | 'tag'>();
same<Api['retrieve']['reply'], { id: number; since: string }>();
same<Api['tag']['reply'], unknown>();
same<Api['retrieve']['kwargs']['pk'], string | number>();
same<keyof Api['retrieve']['kwargs'], 'pk' | 'query'>();
same<keyof Api['tag']['kwargs'], 'room' | 'name' | 'query' | 'data'>();
// @ts-expect-error the path names no id
some<Api['retrieve']['kwargs']>().id;
// @ts-expect-error nothing is mapped to create
some<Api>().create;

const Legacy = viewAsConsumer(nodeView(() => {}));
type LegacyApi = ConsumerApi<InstanceType<typeof Legacy>>['actions'];
same<keyof LegacyApi, 'create' | 'update' | 'list' | 'retrieve'>();
same<LegacyApi['list'], ActionApi<LegacyApi['retrieve']['kwargs'], unknown, never>>();

// @ts-expect-error a view answers
viewAsConsumer(() => 'text');
// @ts-expect-error FETCH is no method
route('FETCH /rooms');
// @ts-expect-error an action needs a route
viewAsConsumer(() => Response.json({}), { list: 'GET /rooms' });

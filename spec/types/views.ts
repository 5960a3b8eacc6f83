import { Expose } from 'class-transformer';
import {
  type ActionApi,
  type AppApi,
  type ConsumerApi,
  createApp,
  nodeView,
  path,
  route,
  viewAsConsumer,
} from 'signalbox';
import { same, some } from './support.js';

export class RoomView {
  @Expose() id!: number;
  @Expose() since!: Date;
}

export const Rooms = viewAsConsumer(() => Response.json({}), {
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

export const Legacy = viewAsConsumer(nodeView(() => {}));
type LegacyApi = ConsumerApi<InstanceType<typeof Legacy>>['actions'];
same<keyof LegacyApi, 'create' | 'update' | 'list' | 'retrieve'>();
same<LegacyApi['list'], ActionApi<LegacyApi['retrieve']['kwargs'], unknown, never>>();

// @ts-expect-error a view answers
viewAsConsumer(() => 'text');
// @ts-expect-error FETCH is no method
route('FETCH /rooms');
// @ts-expect-error an action needs a route
viewAsConsumer(() => Response.json({}), { list: 'GET /rooms' });

// An application that is exported can be named where declarations are emitted

export class OldRooms extends viewAsConsumer(() => Response.json({}), { list: route('GET /rooms') }) {}
export const app = createApp({
  orm: some(),
  routes: [path('/ws/rooms/', Rooms), path('/ws/legacy/', Legacy), path('/ws/old/', OldRooms)],
});
same<AppApi<typeof app, '/ws/rooms/'>['actions'], Api>();

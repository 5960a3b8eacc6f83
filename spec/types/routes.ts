import {
  Action,
  ApiConsumer,
  type AppApi,
  Consumer,
  createApp,
  demultiplexer,
  type PathParams,
  path,
  router,
  type Scope,
} from 'signalbox';
import { z } from 'zod';
import { same, some } from './support.js';

class RoomQuery {
  page: number = 1;
}
const Tenant = z.object({ tenant: z.string(), size: z.coerce.number() });

@Consumer()
class Rooms extends ApiConsumer {
  @Action() open() {
    return { room: this.scope.paramsAs('rooms/:room(int)/').room };
  }
}
@Consumer()
class Users extends ApiConsumer {
  @Action() greet() {
    return 'hi';
  }
}

// Parameters, typed by the pattern, a class or a Standard Schema

same<PathParams<'/ws/'>, Record<never, never>>();
same<PathParams<'/ws/rooms/:room/'>, { readonly room: string }>();
same<PathParams<'/ws/:a(int)/x/:b(uuid)/:c'>, { readonly a: number; readonly b: string; readonly c: string }>();
same<PathParams<':room(int)'>, { readonly room: number }>();

const scope = some<Scope>();
same<Scope['params'], Readonly<Record<string, string>>>();
scope.paramsAs('/ws/:room(int)/:seat/') satisfies { room: number; seat: string };
same<ReturnType<typeof readQuery>, RoomQuery>();
same<ReturnType<typeof readTenant>, { tenant: string; size: number }>();
function readQuery() {
  return scope.queryAs(RoomQuery);
}
function readTenant() {
  return scope.headersAs(Tenant);
}
scope.paramsAs(Tenant).size satisfies number;
// @ts-expect-error the pattern has no such parameter
scope.paramsAs('/ws/:room/').seat;
// @ts-expect-error text, unless the pattern says int
scope.paramsAs('/ws/:room/').room satisfies number;
// @ts-expect-error no property of the class
scope.queryAs(RoomQuery).size;
// @ts-expect-error a query is checked by a class or a schema
scope.queryAs('page');

path('/ws/', Rooms, { query: RoomQuery, params: Tenant, headers: Tenant });
// @ts-expect-error no schema
path('/ws/', Rooms, { query: { page: 'number' } });
// @ts-expect-error no middleware
path('/ws/', Rooms, { middleware: [RoomQuery] });

// Routers

const app = createApp({
  orm: some(),
  routes: [
    path('/users/', Users),
    path(
      '/ws/:tenant/',
      router([
        path('', demultiplexer({ rooms: Rooms, users: Users })),
        path('rooms/', router([path(':room(int)/', Rooms, { query: RoomQuery })])),
      ]),
    ),
  ],
});
type ApiAt<Path extends '/users/' | '/ws/:tenant/' | '/ws/:tenant/rooms/:room(int)/'> = AppApi<typeof app, Path>;
same<keyof ApiAt<'/users/'>['actions'], 'greet'>();
same<keyof ApiAt<'/ws/:tenant/'>, 'rooms' | 'users'>();
same<ApiAt<'/ws/:tenant/rooms/:room(int)/'>['actions']['open']['reply'], { room: number }>();
// @ts-expect-error a part of a path is no path
some<AppApi<typeof app, 'rooms/'>>();
// @ts-expect-error a router is no route of its own
some<AppApi<typeof app, '/ws/:tenant/rooms/'>>();
// @ts-expect-error a router has routes
router([Rooms]);

const below = createApp({ orm: some(), routes: [path('/ws/', router([path('rooms/', Rooms)]))] });
same<keyof AppApi<typeof below>['actions'], 'open'>();

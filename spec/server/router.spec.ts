import { expect } from 'chai';
import {
  ApiConsumer,
  ConfigurationError,
  Consumer,
  demultiplexer,
  router as nested,
  path,
  queryTicket,
  type Route,
  type ScopeMiddleware,
} from 'signalbox';
import { Router } from '#signalbox/server/router.js';
import { defaultSettings } from '#signalbox/settings.js';

@Consumer()
class ChatConsumer extends ApiConsumer {}

@Consumer()
class RoomConsumer extends ApiConsumer {}

class Tenant implements ScopeMiddleware {
  apply(): void {}
}

function router(...routes: Route[]): Router {
  return new Router(routes, { permissions: [], middleware: [] }, defaultSettings);
}

describe('The router', () => {
  const routes = router(
    path('/', ChatConsumer),
    path('/ws/chat/', ChatConsumer),
    path('/ws/rooms/:room', RoomConsumer),
    path('/ws/rooms/:room/:seat/', RoomConsumer),
    path('/ws/:anything', ChatConsumer),
    path('/ws/rooms/never', RoomConsumer),
    path('/ws/räume', RoomConsumer),
    path(
      '/api/',
      nested([
        path('', ChatConsumer),
        path('rooms/:room(int)/', RoomConsumer),
        path('rooms/:id(uuid)/', RoomConsumer),
        path('rooms/:name/', ChatConsumer),
        path('users/:user/', nested([path('rooms/:room', RoomConsumer)])),
      ]),
    ),
  );
  const table: readonly [string, string, Record<string, string>][] = [
    ['/', '/', {}],
    ['/?a=1', '/', {}],
    ['/ws/chat', '/ws/chat/', {}],
    ['/ws/chat/', '/ws/chat/', {}],
    ['/ws/chat/?room=/1/', '/ws/chat/', {}],
    ['/ws/c%68at/', '/ws/chat/', {}],
    ['/ws/rooms/4', '/ws/rooms/:room', { room: '4' }],
    ['/ws/rooms/4/', '/ws/rooms/:room', { room: '4' }],
    ['/ws/rooms/a%2Fb/', '/ws/rooms/:room', { room: 'a/b' }],
    ['/ws/rooms/%C3%A4/', '/ws/rooms/:room', { room: 'ä' }],
    ['/ws/rooms/4/2', '/ws/rooms/:room/:seat/', { room: '4', seat: '2' }],
    ['/ws/rooms/__proto__', '/ws/rooms/:room', { room: '__proto__' }],
    ['/ws/rooms/never', '/ws/rooms/:room', { room: 'never' }],
    ['/ws/r%C3%A4ume', '/ws/:anything', { anything: 'räume' }],
    ['/ws/rooms/100%25', '/ws/rooms/:room', { room: '100%' }],
    ['/api', '/api/', {}],
    ['/api/rooms/4/', '/api/rooms/:room(int)/', { room: '4' }],
    ['/api/rooms/0', '/api/rooms/:room(int)/', { room: '0' }],
    ['/api/rooms/04', '/api/rooms/:name/', { name: '04' }],
    ['/api/rooms/-4', '/api/rooms/:name/', { name: '-4' }],
    ['/api/rooms/4e2', '/api/rooms/:name/', { name: '4e2' }],
    ['/api/rooms/9999999999999999', '/api/rooms/:name/', { name: '9999999999999999' }],
    [
      '/api/rooms/01890a5d-ac96-774b-bcce-b302099a8057',
      '/api/rooms/:id(uuid)/',
      { id: '01890a5d-ac96-774b-bcce-b302099a8057' },
    ],
    ['/api/users/ann/rooms/red', '/api/users/:user/rooms/:room', { user: 'ann', room: 'red' }],
  ];
  for (const [url, found, params] of table) {
    it(`leads ${url} to ${found}`, () => {
      const match = routes.match(url);
      expect(match?.route.path).to.equal(found);
      expect({ ...match?.params }).to.deep.equal(params);
    });
  }

  for (const url of [
    '/ws',
    '/ws/',
    '//',
    '/ws//',
    '/ws/chat/more',
    '/ws/rooms/4/2/1',
    '/ws/rooms/%ff',
    '/ws/rooms/%',
    '/ws/rooms/%ED%A0%80',
    '/ws/rooms/a%00',
    '/ws/rooms/\ud800',
    '/api/users/ann',
    '/apirooms/4',
    '/ws/rooms//2',
    '',
    '*',
    '?a=1',
    'x/ws/chat',
    'http://host/ws/chat/',
  ]) {
    it(`leads ${url} nowhere`, () => {
      expect(routes.match(url)).to.equal(undefined);
    });
  }

  it('compiles a class once, however many routes name it', () => {
    const twice = router(
      path('/a', ChatConsumer),
      path('/b', demultiplexer({ chat: ChatConsumer, rooms: RoomConsumer })),
    );
    expect(twice.consumers.map(({ consumer }) => consumer)).to.deep.equal([ChatConsumer, RoomConsumer]);
  });

  const faults: readonly [string, () => Router, string][] = [
    ['no route', () => router(), "createApp.routes: are empty. Give at least one: path('/ws/', YourConsumer)."],
    [
      'a path without a slash',
      () => router(path('ws/', ChatConsumer)),
      'createApp.ws/: does not begin with a slash. Write /ws/.',
    ],
    [
      'a demultiplexer without streams',
      () => router(path('/ws/', demultiplexer({}))),
      'createApp./ws/: is a demultiplexer without streams. Give it one: demultiplexer({ rooms: RoomConsumer }).',
    ],
    [
      'a stream without a name',
      () => router(path('/ws/', demultiplexer({ '': ChatConsumer }))),
      'createApp./ws/: has a stream without a name. Name it: demultiplexer({ rooms: RoomConsumer }).',
    ],
    [
      'a parameter without a name',
      () => router(path('/ws/:/', ChatConsumer)),
      'createApp./ws/:/: has a parameter without a name. Write it as :room.',
    ],
    [
      'two parameters of one name',
      () => router(path('/:room/:room', ChatConsumer)),
      'createApp./:room/:room: has two parameters named "room". Give each a name of its own.',
    ],
    [
      'two routes that take the same paths',
      () => router(path('/ws/:room', ChatConsumer), path('/ws/:user/', RoomConsumer)),
      'createApp./ws/:user/: occurs twice, but only the first would be served. Drop one of them.',
    ],
    [
      'a parameter of a kind that there is not',
      () => router(path('/ws/:room(number)', ChatConsumer)),
      'createApp./ws/:room(number): has a parameter "room" of the unknown kind "number". There are: text, int, uuid. Give a class as params for anything else.',
    ],
    [
      'a kind that every object has',
      () => router(path('/ws/:room(constructor)', ChatConsumer)),
      'createApp./ws/:room(constructor): has a parameter "room" of the unknown kind "constructor". There are: text, int, uuid. Give a class as params for anything else.',
    ],
    [
      'a parameter that is there above already',
      () => router(path('/:room/', nested([path(':room/', ChatConsumer)]))),
      'createApp./:room/:room/: has two parameters named "room". Give each a name of its own.',
    ],
    [
      'a router below a path without a slash at its end',
      () => router(path('/ws', nested([path('rooms/', ChatConsumer)]))),
      'createApp./ws: has routes below it and no slash at its end. Write /ws/.',
    ],
    [
      'a slash before a path below another',
      () => router(path('/ws/', nested([path('/rooms/', ChatConsumer)]))),
      'createApp./ws//rooms/: begins with a slash below another path. Write rooms/.',
    ],
    [
      'a router without routes',
      () => router(path('/ws/', nested([]))),
      'createApp./ws/: leads to a router without routes. Give it one, or drop it.',
    ],
    [
      'parameters that are declared at a router',
      () => router(path('/ws/', nested([path('', ChatConsumer)]), { query: Date })),
      'createApp./ws/: declares query and leads to a router. Declare them at the routes in it.',
    ],
    [
      'an option that there is not',
      () => router(path('/ws/', ChatConsumer, { midleware: [] } as object)),
      'createApp./ws/: has the unknown option "midleware". There are: middleware, params, query, headers.',
    ],
    [
      'a middleware that a circular import left undefined',
      () => router(path('/ws/', ChatConsumer, { middleware: [undefined as never] })),
      'createApp./ws/: has undefined among its middleware, which is not a class. Look for a circular import.',
    ],
    [
      'a maker of middleware that was not called',
      () => router(path('/ws/', ChatConsumer, { middleware: [queryTicket as never] })),
      'createApp./ws/: has queryTicket among its middleware, which is a function that makes one, and was not called. Call it: queryTicket(…).',
    ],
    [
      'a class of parameters without a rule',
      () => router(path('/ws/', ChatConsumer, { query: ChatConsumer })),
      "createApp./ws/: declares ChatConsumer as its query, which has no rule, so no data of a client would reach it. Put class-validator's decorators on its properties.",
    ],
    [
      'parameters that are no schema',
      () => router(path('/ws/', ChatConsumer, { headers: { tenant: 'string' } as never })),
      'createApp./ws/: declares headers that are neither a class nor a Standard Schema. Give one of them.',
    ],
    [
      'a middleware that runs twice',
      () => router(path('/ws/', nested([path('', ChatConsumer, { middleware: [Tenant] })], { middleware: [Tenant] }))),
      'createApp./ws/: runs Tenant twice. Leave it to the application or to the route.',
    ],
    [
      'two routes of one path',
      () => router(path('/ws/chat', ChatConsumer), path('/ws/chat/', RoomConsumer)),
      'createApp./ws/chat/: occurs twice, but only the first would be served. Drop one of them.',
    ],
  ];
  for (const [name, make, text] of faults) {
    it(`refuses ${name}`, () => {
      expect(make).to.throw(ConfigurationError).with.property('message', text);
    });
  }
});

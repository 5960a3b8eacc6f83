import { expect } from 'chai';
import { ApiConsumer, ConfigurationError, Consumer, demultiplexer, path, type Route } from 'signalbox';
import { Router } from '#signalbox/server/router.js';
import { defaultSettings } from '#signalbox/settings.js';

@Consumer()
class ChatConsumer extends ApiConsumer {}

@Consumer()
class RoomConsumer extends ApiConsumer {}

function router(...routes: Route[]): Router {
  return new Router(routes, [], defaultSettings);
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
      'two routes of one path',
      () => router(path('/ws/chat', ChatConsumer), path('/ws/chat/', RoomConsumer)),
      'createApp./ws/chat/: is there twice, and only the first would be served. Drop one of them.',
    ],
  ];
  for (const [name, make, text] of faults) {
    it(`refuses ${name}`, () => {
      expect(make).to.throw(ConfigurationError).with.property('message', text);
    });
  }
});

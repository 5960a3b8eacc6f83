import { expect } from 'chai';
import { Action, ApiConsumer, ConfigurationError, Consumer, createApp, path } from 'signalbox';
import { offlineOrm } from '../support/offline-orm.js';

@Consumer()
class PlainConsumer extends ApiConsumer {
  @Action() async ping() {}
}

const routes = [path('/ws/', PlainConsumer)];
const remedy = 'Give the result of MikroORM.init: createApp({ orm: await MikroORM.init({ … }), … }).';
const routeRemedy = "Give at least one: routes: [path('/ws/', YourConsumer)].";

describe('The options of createApp', () => {
  let orm: Awaited<ReturnType<typeof offlineOrm>>;

  before(async () => {
    orm = await offlineOrm();
  });
  after(() => orm.close());

  const refused: readonly [string, () => unknown, string][] = [
    ['nothing at all', () => undefined, `createApp.orm: is missing. ${remedy}`],
    ['no orm', () => ({ routes }), `createApp.orm: is missing. ${remedy}`],
    ['a null for the orm', () => ({ orm: null, routes }), `createApp.orm: is missing. ${remedy}`],
    ['a promise of the orm', () => ({ orm: Promise.resolve(orm), routes }), `createApp.orm: is a promise. ${remedy}`],
    ['its entity manager', () => ({ orm: orm.em, routes }), `createApp.orm: is not a MikroORM object. ${remedy}`],
    ['an empty object', () => ({ orm: {}, routes }), `createApp.orm: is not a MikroORM object. ${remedy}`],
    [
      'other orms that are one',
      () => ({ orm, otherOrms: orm, routes }),
      'createApp.otherOrms: is not a list. Give a list of MikroORM objects.',
    ],
    [
      'other orms with a hole',
      () => ({ orm, otherOrms: [undefined], routes }),
      `createApp.otherOrms[0]: is missing. ${remedy}`,
    ],
    [
      'a name that nobody knows',
      () => ({ orm, routes, permission: [] }),
      'createApp.permission: is not an option. There are: orm, otherOrms, routes, container, middleware, permissions, errors, hooks, channelLayer, connections, users, ticketStore, explorer, settings.',
    ],
    ['no routes', () => ({ orm }), `createApp.routes: are missing. ${routeRemedy}`],
    ['a route that is no list', () => ({ orm, routes: routes[0] }), `createApp.routes: are not a list. ${routeRemedy}`],
  ];
  for (const [name, options, told] of refused) {
    it(`are refused with ${name}`, () => {
      expect(() => createApp(options() as never))
        .to.throw(ConfigurationError)
        .with.property('message', told);
    });
  }
});

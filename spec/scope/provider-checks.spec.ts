import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import {
  Action,
  Announcer,
  ApiConsumer,
  type AppOptions,
  ChannelLayer,
  ConfigurationError,
  Connections,
  Consumer,
  createApp,
  Logger,
  type Permission,
  Permissions,
  path,
  Rechecker,
  type Route,
  Scope,
  Serializer,
  Tickets,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import {
  container,
  type DependencyContainer,
  delay,
  type InjectionToken,
  inject,
  injectAll,
  injectable,
  injectWithTransform,
  Lifecycle,
  scoped,
  singleton,
} from 'tsyringe';
import { checkProviders, checkShowsEvents } from '#signalbox/scope/provider-checks.js';
import { useOfflineOrm } from '../support/offline-orm.js';
import { testProviders } from '../support/providers.js';

let told: string[] = [];

@singleton()
class Counter {
  #count = 0;

  constructor() {
    told.push('counter');
  }

  next(): number {
    this.#count += 1;
    return this.#count;
  }

  dispose(): void {
    told.push('counter disposed');
  }
}

@injectable()
class Desk {
  constructor(readonly counter: Counter) {}
}

@Consumer()
class TicketConsumer extends ApiConsumer {
  constructor(
    private readonly desk: Desk,
    readonly scoped: Scope,
  ) {
    super();
  }

  @Action()
  async draw() {
    return this.desk.counter.next();
  }
}

@injectable()
class Greeter {
  constructor(readonly scope: Scope) {}
}

@singleton()
class Captive {
  constructor(readonly greeter: Greeter) {}
}

@Consumer()
class CaptiveConsumer extends ApiConsumer {
  constructor(readonly captive: Captive) {
    super();
  }
}

@singleton()
class NamedCaptive {
  constructor(@inject(Scope) readonly facts: { readonly path: string }) {}
}

@injectable()
class CaptivePermission implements Permission {
  constructor(readonly captive: NamedCaptive) {}

  hasPermission(): boolean {
    return true;
  }
}

@Permissions(CaptivePermission)
@Consumer()
class GuardedConsumer extends ApiConsumer {}

/** A consumer that is handed the provider, and tells whether it was. */
function consumerNeeding(provider: InjectionToken) {
  @Consumer()
  class NeedingConsumer extends ApiConsumer {
    constructor(@inject(provider) readonly needed: object) {
      super();
    }

    @Action()
    async show() {
      return this.needed !== undefined;
    }
  }
  return NeedingConsumer;
}

@scoped(Lifecycle.ContainerScoped)
class Basket {}

@singleton()
class BasketKeeper {
  constructor(readonly basket: Basket) {}
}

class ScopedBase {
  constructor(@inject(Scope) readonly scope: Scope) {}
}

@singleton()
class Heir extends ScopedBase {}

@singleton()
class Postponed {
  constructor(@inject(delay(() => Greeter)) readonly greeter: Greeter) {}
}

@singleton()
class AsksForName {
  constructor(@inject('greeter') readonly greeter: Greeter) {}
}

@singleton()
class AsksForAll {
  constructor(@injectAll('greeter') readonly greeters: Greeter[]) {}
}

@injectable()
class NamedMailer {
  constructor(readonly greeter: Greeter) {}
}
@injectable()
class AsksForMailer {
  constructor(@inject('mailer') readonly mailer: NamedMailer) {}
}

@scoped(Lifecycle.ContainerScoped)
class Seat {
  constructor(readonly scope: Scope) {
    told.push('seat');
  }
}

@Consumer()
class SeatConsumer extends ApiConsumer {
  constructor(
    readonly one: Seat,
    readonly other: Seat,
  ) {
    super();
  }

  @Action()
  async show() {
    return this.one === this.other && this.one.scope === this.scope;
  }
}

@Consumer()
@singleton()
class SharedConsumer extends ApiConsumer {}

describe('Serializers of events', () => {
  it('are refused where they need a connection, with the way to it', () => {
    expect(() => checkShowsEvents(container, Greeter))
      .to.throw(ConfigurationError)
      .with.property(
        'message',
        'Greeter: shows events, once per change and outside any connection, and depends on the scope of one: Greeter -> Scope. ' +
          'Take the scope from context.request if there is a request, or observe with another serializer.',
      );
  });
});

describe('Singletons', () => {
  const offline = useOfflineOrm();

  const open = (to: Route['to'], options: Partial<AppOptions<readonly Route[]>> = {}) =>
    createApp({ orm: offline.orm, routes: [path('/', to)], ...options });

  it('are built once, with the application, and serve every connection', async () => {
    told = [];
    const app = open(TicketConsumer);
    expect(told).to.deep.equal(['counter']);
    await using ann = await connect(app, '/');
    await using bob = await connect(app, '/');
    expect(await ann.request('draw')).to.include({ data: 1 });
    expect(await bob.request('draw')).to.include({ data: 2 });
    ann.close();
    await ann.ended;
    expect(await bob.request('draw')).to.include({ data: 3 });
    await app.close();
    expect(told).to.deep.equal(['counter']);
  });

  it('that would keep the scope of the first connection are refused, with the path to them', () => {
    expect(() => open(CaptiveConsumer))
      .to.throw(ConfigurationError)
      .with.property(
        'message',
        'Captive: is a singleton and depends on the scope of one connection: Captive -> Greeter -> Scope. ' +
          'Remove @singleton() from it, or pass the scope to its methods.',
      );
  });

  it('are refused behind permissions and named tokens as well', () => {
    expect(() => open(GuardedConsumer)).to.throw(ConfigurationError, 'NamedCaptive -> Scope');
  });

  describe('are refused', () => {
    const cases: readonly [string, InjectionToken, string][] = [
      [
        'with what every connection has its own of',
        BasketKeeper,
        'BasketKeeper: is a singleton and depends on Basket, of which every connection has its own: BasketKeeper -> Basket. ' +
          'Remove @singleton() from it, or pass it to its methods.',
      ],
      ['with an inherited constructor', Heir, 'Heir -> Scope.'],
      ['with a delayed constructor', Postponed, 'Postponed -> Greeter -> Scope.'],
      ['with a token that stands for a class', AsksForName, 'AsksForName -> "greeter" -> Greeter -> Scope.'],
      ['with a token that stands for several', AsksForAll, 'AsksForAll -> "greeter" -> Greeter -> Scope.'],
      [
        'where they are registered by a token',
        AsksForMailer,
        '"mailer": is a singleton and depends on the scope of one connection: "mailer" -> NamedMailer -> Greeter -> Scope.',
      ],
    ];
    for (const [name, provider, message] of cases) {
      it(name, () => {
        const child = container.createChildContainer();
        child.register('greeter', { useClass: Greeter });
        child.registerSingleton('mailer', NamedMailer);
        expect(() => open(consumerNeeding(provider), { container: child })).to.throw(ConfigurationError, message);
      });
    }
  });

  it('that a factory hides a connection from are built without one, and fail', async () => {
    const child = testProviders().container;
    child.register('hidden', { useFactory: (from) => from.resolve(Scope) });
    @singleton()
    class Hiding {
      constructor(@inject('hidden') readonly scope: Scope) {}
    }
    const app = open(consumerNeeding(Hiding), { container: child });
    await using ann = await connect(app, '/');
    expect(await ann.request('show')).to.include({ response_status: 500 });
    await app.close();
  });

  it('may not be consumers, of which every connection has its own', () => {
    expect(() => open(SharedConsumer))
      .to.throw(ConfigurationError)
      .with.property(
        'message',
        'SharedConsumer: is a singleton, but every connection needs a consumer of its own. Remove @singleton() from it.',
      );
  });

  it('are not what providers of a connection are', async () => {
    told = [];
    const app = open(SeatConsumer);
    await using ann = await connect(app, '/');
    await using bob = await connect(app, '/');
    expect(await ann.request('show')).to.include({ data: true });
    expect(await bob.request('show')).to.include({ data: true });
    expect(told).to.deep.equal(['seat', 'seat']);
    await app.close();
  });
  it('of the container given are used as they are', async () => {
    const child = container.createChildContainer();
    const counter = new Counter();
    child.registerInstance(Counter, counter);
    const app = open(TicketConsumer, { container: child });
    await using ann = await connect(app, '/');
    expect(await ann.request('draw')).to.include({ data: 1 });
    expect(counter.next()).to.equal(2);
    await app.close();
  });
});

class Clerk {}

class Bare {
  constructor(readonly clerk: Clerk) {}
}

class BareTwice {
  constructor(
    readonly one: Clerk,
    readonly other: Clerk,
  ) {}
}

@injectable()
class Decorated {
  constructor(readonly clerk: Clerk) {}
}

@singleton()
class Single {
  constructor(readonly clerk: Clerk) {}
}

class Child extends Decorated {}

@injectable()
class DecoratedChild extends Decorated {}

class Grandchild extends DecoratedChild {}

const PENS = Symbol('pens');

interface Shape {
  readonly name: string;
}

@injectable()
class Shapeless {
  constructor(readonly shape: Shape) {}
}

/** Its parameter has no type of its own to be written down by. */
class Heiress extends Bare {}

class Settled extends Bare {
  constructor() {
    super(new Clerk());
  }
}

class SettledLater extends Decorated {
  constructor() {
    super(new Clerk());
  }
}

/** A decorator that is not the container's. */
const note = (_provider: object): void => {};

@note
class NotedOnly {
  constructor(readonly clerk: Clerk) {}
}

class NamedOnly {
  constructor(@inject('pen') readonly pen: object) {}
}

@injectable()
class AsksForText {
  constructor(
    readonly clerk: Clerk,
    readonly title: string,
  ) {}
}

@injectable()
class AsksForPen {
  constructor(@inject('pen') readonly pen: object) {}
}

@injectable()
class AsksForPens {
  constructor(@injectAll(PENS) readonly pens: readonly object[]) {}
}

@injectable()
class MayHavePen {
  constructor(
    @inject('pen', { isOptional: true }) readonly pen: object | undefined,
    @injectAll('pens', { isOptional: true }) readonly pens: readonly object[],
  ) {}
}

@injectable()
class AsksForDelayed {
  constructor(@inject(delay(() => Bare)) readonly bare: Bare) {}
}

@injectable()
class Uppercase {
  constructor(@inject('language') readonly language: string) {}

  transform(text: string): string {
    return text.toLocaleUpperCase(this.language);
  }
}

@injectable()
class AsksForTransformed {
  constructor(@injectWithTransform('name', Uppercase) readonly name: string) {}
}

describe('The check of providers', () => {
  const check = (
    provider: new (...parameters: never) => object,
    prepare = (_child: DependencyContainer): void => {},
  ) => {
    const child = container.createChildContainer();
    prepare(child);
    checkProviders(child, [provider as new () => object]);
  };

  for (const provider of [Clerk, Decorated, Single, DecoratedChild, Settled, SettledLater, MayHavePen]) {
    it(`accepts ${provider.name}`, () => check(provider));
  }

  it('accepts a token that stands for a value, a factory, a class or another token', () => {
    const pens: readonly ((child: DependencyContainer) => void)[] = [
      (child) => child.register('pen', { useValue: {} }),
      (child) => child.register('pen', { useFactory: (from) => from.resolve(Scope) }),
      (child) => child.register('pen', { useClass: Decorated }),
      (child) => child.register('pen', { useToken: 'pencil' }).register('pencil', { useValue: {} }),
    ];
    for (const pen of pens) check(AsksForPen, pen);
  });

  it('accepts a class that the container has an instance of', () =>
    check(NotedOnly, (child) => child.registerInstance(NotedOnly, new NotedOnly(new Clerk()))));

  const undecorated = (name: string, way = '', remedy = '') =>
    `${name}: has 1 constructor parameter, but no decorator of its own recorded its type, so the container would pass nothing to it${way}. ` +
    `Put @injectable() on it${remedy}. If it has a decorator, its compiler left the types out, as tsx and esbuild do: compile with tsc, or name what to inject: @inject(TheClass).`;

  const refused: readonly [new (...parameters: never) => object, string][] = [
    [Bare, undecorated('Bare')],
    [
      BareTwice,
      'BareTwice: has 2 constructor parameters, but no decorator of its own recorded their types, so the container would pass nothing to it. Put @injectable() on it. If it has a decorator, its compiler left the types out, as tsx and esbuild do: compile with tsc, or name what to inject: @inject(TheClass).',
    ],
    [Child, undecorated('Child')],
    [Grandchild, undecorated('Grandchild')],
    [Heiress, undecorated('Heiress')],
    [NotedOnly, undecorated('NotedOnly')],
    [
      Shapeless,
      'Shapeless: the type of constructor parameter 1 does not exist at run time: an import type, an interface or a circular import. Import the class as a value, or name a token: @inject(token).',
    ],
    [
      AsksForText,
      "AsksForText: the type of constructor parameter 2 is String, which the container cannot make. Name a token, and register a value under it: @inject('token') and container.registerInstance('token', …).",
    ],
    [
      AsksForPen,
      'AsksForPen: needs "pen", but nothing is registered under that token: AsksForPen -> "pen". Register it in the container of the application before createApp: container.register("pen", { useClass: … }). If each connection has one of its own, register a factory that finds it by the Scope of the connection.',
    ],
    [
      AsksForPens,
      'AsksForPens: needs Symbol(pens), but nothing is registered under that token: AsksForPens -> Symbol(pens). Register it in the container of the application before createApp: container.register(Symbol(pens), { useClass: … }). If each connection has one of its own, register a factory that finds it by the Scope of the connection.',
    ],
    [
      AsksForDelayed,
      undecorated('Bare', ': AsksForDelayed -> Bare', ', or register an instance: container.registerInstance(Bare, …)'),
    ],
  ];
  for (const [provider, text] of refused) {
    it(`refuses ${provider.name}`, () => {
      expect(() => check(provider))
        .to.throw(ConfigurationError)
        .with.property('message', text);
    });
  }

  it('refuses a class whose parameters are named, and that no decorator made known to the container', () => {
    expect(() => check(NamedOnly, (child) => child.registerInstance('pen', {})))
      .to.throw(ConfigurationError)
      .with.property('message', undecorated('NamedOnly'));
  });

  it('refuses what a transform asks for', () => {
    expect(() => check(AsksForTransformed, (child) => child.registerInstance('name', 'ann'))).to.throw(
      ConfigurationError,
      'Uppercase: needs "language", but nothing is registered under that token: AsksForTransformed -> Uppercase -> "language".',
    );
  });

  it('refuses a token that stands for one that is not registered', () => {
    expect(() => check(AsksForPen, (child) => child.register('pen', { useToken: 'pencil' }))).to.throw(
      ConfigurationError,
      '"pen": needs "pencil", but nothing is registered under that token: AsksForPen -> "pen" -> "pencil".',
    );
  });
});

describe('Start-up finds an unregistered token and an undecorated class', () => {
  const offline = useOfflineOrm();

  const refusal = (options: Partial<AppOptions<readonly Route[]>>): string => {
    try {
      createApp({ orm: offline.orm, routes: [path('/', TicketConsumer)], ...options });
    } catch (error) {
      return (error as Error).message;
    }
    return 'none';
  };

  @injectable()
  class Notifier {
    constructor(@inject('Mailer') readonly mailer: object) {}
  }

  @injectable()
  class MailPermission implements Permission {
    constructor(readonly notifier: Notifier) {}

    hasPermission(): boolean {
      return true;
    }
  }

  @injectable()
  class MailSerializer extends Serializer<object, object> {
    constructor(readonly notifier: Notifier) {
      super();
    }

    toData(): object {
      return {};
    }
  }

  @injectable()
  class MailMiddleware {
    constructor(readonly notifier: Notifier) {}

    apply(): void {}
  }

  @injectable()
  class MailHook {
    constructor(readonly bare: Bare) {}

    start(): void {}
  }

  @Consumer()
  @Permissions(MailPermission)
  class PermittedConsumer extends ApiConsumer {}

  @Consumer()
  class ShowingConsumer extends ApiConsumer {
    @Action({ reply: MailSerializer })
    async show(): Promise<object> {
      return {};
    }
  }

  const ways: readonly [string, Partial<AppOptions<readonly Route[]>>, string][] = [
    ['a consumer', { routes: [path('/', consumerNeeding(Notifier))] }, 'NeedingConsumer -> Notifier -> "Mailer"'],
    ['a permission', { routes: [path('/', PermittedConsumer)] }, 'MailPermission -> Notifier -> "Mailer"'],
    ['a serializer', { routes: [path('/', ShowingConsumer)] }, 'MailSerializer -> Notifier -> "Mailer"'],
    ['middleware', { middleware: [MailMiddleware] }, 'MailMiddleware -> Notifier -> "Mailer"'],
    ['a hook', { hooks: [MailHook] }, 'MailHook -> Bare'],
  ];
  for (const [name, options, way] of ways) {
    it(`below ${name}`, () => {
      expect(refusal(options)).to.contain(`: ${way}. `);
    });
  }

  it('and accepts what is registered in the container of the application, or above it', () => {
    const above = container.createChildContainer();
    above.registerInstance('Mailer', {});
    expect(refusal({ container: above, middleware: [MailMiddleware] })).to.equal('none');
    expect(refusal({ container: above.createChildContainer(), middleware: [MailMiddleware] })).to.equal('none');
  });

  it('and accepts what asks for a provider of the framework', () => {
    @injectable()
    class Framed {
      constructor(
        readonly tickets: Tickets,
        readonly connections: Connections,
        readonly logger: Logger,
        readonly announcer: Announcer,
        readonly layer: ChannelLayer,
        readonly rechecker: Rechecker,
        readonly em: EntityManager,
        readonly scope: Scope,
      ) {}
    }
    expect(refusal({ routes: [path('/', consumerNeeding(Framed))] })).to.equal('none');
  });
});

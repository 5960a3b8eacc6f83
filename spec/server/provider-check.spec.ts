import { expect } from 'chai';
import { ConfigurationError } from 'signalbox';
import { container, injectable, singleton } from 'tsyringe';
import { checkProviders } from '#signalbox/scope/provider-checks.js';

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

interface Shape {
  readonly name: string;
}

@injectable()
class Shapeless {
  constructor(readonly shape: Shape) {}
}

describe('The check of providers', () => {
  for (const provider of [Clerk, Decorated, Single, DecoratedChild]) {
    it(`accepts ${provider.name}`, () => checkProviders(container.createChildContainer(), [provider]));
  }

  const refused: [new (...parameters: never) => object, string][] = [
    [
      Bare,
      'Bare: has 1 constructor parameter and no decorator of its own, so that the container would hand it nothing. Put @injectable() on it.',
    ],
    [
      BareTwice,
      'BareTwice: has 2 constructor parameters and no decorator of its own, so that the container would hand it nothing. Put @injectable() on it.',
    ],
    [
      Child,
      'Child: has 1 constructor parameter and no decorator of its own, so that the container would hand it nothing. Put @injectable() on it.',
    ],
    [
      Grandchild,
      'Grandchild: has 1 constructor parameter and no decorator of its own, so that the container would hand it nothing. Put @injectable() on it.',
    ],
  ];
  refused.push([
    Shapeless,
    'Shapeless: the type of constructor parameter 1 does not exist at run time: an import type, an interface or a circular import. Import the class as a value, or name a token: @inject(token).',
  ]);
  for (const [provider, text] of refused) {
    it(`refuses ${provider.name}`, () => {
      expect(() => checkProviders(container.createChildContainer(), [provider as new () => object]))
        .to.throw(ConfigurationError)
        .with.property('message', text);
    });
  }
});

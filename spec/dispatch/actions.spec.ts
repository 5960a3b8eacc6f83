import { expect } from 'chai';
import { Action, ApiConsumer, ConfigurationError, type Settings } from 'signalbox';
import { type Actions, actionsOf } from '#signalbox/dispatch/actions.js';
import type { Class } from '#signalbox/metadata.js';
import { completeSettings } from '#signalbox/settings.js';

class Base extends ApiConsumer {
  @Action() sync() {}
  @Action() async async() {}
  @Action() *generator() {}
  @Action() async *asyncGenerator() {}
  @Action() promise() {
    return Promise.resolve();
  }
  @Action({ atomic: false }) neverAtomic() {}
  @Action({ atomic: true }) async alwaysAtomic() {}
  @Action({ detached: true }) async detachedAsync() {}
}

function actionsFor(consumer: Class, settings: Partial<Settings> = {}): Actions {
  return actionsOf(consumer, [], completeSettings(settings));
}

function atomicOnes(settings: Partial<Settings>): string[] {
  return [...new Set(actionsFor(Base, settings).values())].filter(({ atomic }) => atomic).map(({ member }) => member);
}

describe('The actions of a consumer', () => {
  describe('run in a transaction', () => {
    it('where they are no async functions, or say so', () => {
      expect(atomicOnes({})).to.deep.equal(['sync', 'generator', 'promise', 'alwaysAtomic']);
    });

    it('where the application says so of async ones', () => {
      expect(atomicOnes({ asyncActionsAtomic: true })).to.deep.equal([
        'sync',
        'async',
        'generator',
        'asyncGenerator',
        'promise',
        'alwaysAtomic',
      ]);
    });

    it('unless the application says so of the others', () => {
      expect(atomicOnes({ syncActionsAtomic: false })).to.deep.equal(['alwaysAtomic']);
    });

    it('as the overriding method is, and not the overridden one', () => {
      class Derived extends Base {
        override sync = Base.prototype.sync;
        override async promise() {}
      }
      expect(actionsFor(Derived).get('promise')?.atomic).to.equal(false);
    });
  });

  describe('answer to', () => {
    class Named extends Base {
      @Action({ name: 'say' }) sendMessage() {}
      @Action() leaveRoom() {}
    }

    it("their method's name in snake_case", () => {
      expect(actionsFor(Named).get('leave_room')?.member).to.equal('leaveRoom');
    });

    it("a name of their own, and their method's name as well", () => {
      const actions = actionsFor(Named);
      expect(actions.get('say')?.member).to.equal('sendMessage');
      expect(actions.get('send_message')).to.equal(actions.get('say'));
      expect(actions.get('say')?.name).to.equal('say');
      expect([...new Set(actions.values())].filter(({ member }) => member === 'sendMessage')).to.have.length(1);
    });

    it('inherited names', () => {
      expect(actionsFor(Named).get('always_atomic')?.member).to.equal('alwaysAtomic');
    });

    it('nothing else', () => {
      for (const name of ['sendMessage', 'constructor', 'toString', 'onConnect', 'on_connect', '__proto__', '']) {
        expect(actionsFor(Named).get(name), name).to.equal(undefined);
      }
    });
  });

  it('keep the options of an overridden action that is decorated anew', () => {
    class Derived extends Base {
      @Action({ status: 202, atomic: false }) override sync() {}
    }
    expect(actionsFor(Derived).get('sync')).to.include({ status: 202, atomic: false });
    expect(actionsFor(Base).get('sync')).to.include({ status: 200, atomic: true });
  });

  it('keep what was decorated where it is overridden without a decorator', () => {
    class Derived extends Base {
      override neverAtomic() {}
    }
    expect(actionsFor(Derived).get('never_atomic')).to.include({ atomic: false, member: 'neverAtomic' });
  });

  it('have the time limits of the application, or their own', () => {
    class Timed extends ApiConsumer {
      @Action() usual() {}
      @Action({ detached: true }) async long() {}
      @Action({ timeLimit: 50 }) short() {}
    }
    const actions = actionsFor(Timed, { actionTimeLimit: 1_000, detachedActionTimeLimit: 9_000 });
    expect([...actions.values()].map(({ member, timeLimit }) => [member, timeLimit])).to.deep.equal([
      ['usual', 1_000],
      ['long', 9_000],
      ['short', 50],
    ]);
  });

  describe('are refused', () => {
    it('where two answer to one name', () => {
      class Twice extends ApiConsumer {
        @Action() send() {}
        @Action({ name: 'send' }) post() {}
      }
      expect(() => actionsFor(Twice)).to.throw(
        ConfigurationError,
        'Twice.post: answers to "send", and so does send. Give one of them another name: @Action({ name }).',
      );
    });

    it('where two methods have one name in snake_case', () => {
      class Alike extends ApiConsumer {
        @Action() sendAll() {}
        @Action() send_all() {}
      }
      expect(() => actionsFor(Alike)).to.throw('Alike.send_all: answers to "send_all", and so does sendAll.');
    });

    for (const timeLimit of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2_147_483_648]) {
      it(`where their time limit is ${timeLimit}`, () => {
        class Timeless extends ApiConsumer {
          @Action({ timeLimit }) act() {}
        }
        expect(() => actionsFor(Timeless)).to.throw(
          ConfigurationError,
          `Timeless.act: has a time limit of ${timeLimit} ms. Give one above 0 and below 2147483648, which is 24 days.`,
        );
      });
    }
  });
});

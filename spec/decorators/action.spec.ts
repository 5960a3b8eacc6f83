import { expect } from 'chai';
import { IsInt } from 'class-validator';
import { Action, ActionContext, ApiConsumer, ConfigurationError, DetailAction } from 'signalbox';
import { z } from 'zod';
import { declaredActions } from '#signalbox/dispatch/actions.js';
import { Room } from '../support/entities.js';
import type { ImportedAsType, Shape } from '../support/shapes.js';

class Key {
  @IsInt() room!: number;
}

class SpecialKey extends Key {}

class NoRules {
  room!: number;
}

const wayOut = 'Declare a class and import it as a value, or name it: @Action({ kwargs: TheClass }).';
const ruleless = 'its kwargs class NoRules has no rule, so that nothing a client sends would reach the method.';
const addRules = 'Put class-validator decorators on the properties of NoRules, for example @IsInt().';

function absent(position: number, type: string): string {
  return `the type of parameter ${position} does not exist at run time (it is ${type} there): an \`import type\`, an inline object type, an interface, a union or an array.`;
}

describe('@Action', () => {
  it('notes what the method is called with', () => {
    class Consumer extends ApiConsumer {
      @Action() nothing() {}
      @Action() context(_context: ActionContext) {}
      @Action() kwargs(_kwargs: SpecialKey, _context: ActionContext) {}
      @Action({ kwargs: Key, status: 201, name: 'other' }) named({ room }: { room: number }) {
        return room;
      }
      // @ts-expect-error refused by the types as well
      @DetailAction() detail(_room: Room) {}
      // @ts-expect-error refused by the types as well
      @DetailAction() detailWithContext(_room: Room, _context: ActionContext) {}
      // @ts-expect-error refused by the types as well
      @DetailAction() detailWithKwargs(_room: Room, _kwargs: Key, _context: ActionContext) {}
    }
    expect(Object.fromEntries(declaredActions(Consumer))).to.deep.equal({
      nothing: { isDetail: false },
      context: { isDetail: false },
      kwargs: { isDetail: false, kwargs: SpecialKey },
      named: { isDetail: false, kwargs: Key, status: 201, name: 'other' },
      detail: { isDetail: true, model: Room },
      detailWithContext: { isDetail: true, model: Room },
      detailWithKwargs: { isDetail: true, model: Room, kwargs: Key },
    });
  });

  describe('refuses, where the class is defined,', () => {
    const refusals: Record<string, readonly [define: () => unknown, text: string]> = {
      'a class that is imported as a type': [
        () => {
          class Consumer extends ApiConsumer {
            @Action() act(_kwargs: ImportedAsType) {}
          }
          return Consumer;
        },
        "Consumer.act: the class of parameter 1 is imported as a type, so that it does not exist at run time. Import it as a value, without `type`. The context too: import { ActionContext } from 'signalbox'.",
      ],
      'an interface': [
        () => {
          class Consumer extends ApiConsumer {
            @Action() act(_kwargs: Shape) {}
          }
          return Consumer;
        },
        `Consumer.act: ${absent(1, 'Object')} ${wayOut}`,
      ],
      'an inline object type': [
        () => {
          class Consumer extends ApiConsumer {
            @Action() act(_kwargs: { room: number }) {}
          }
          return Consumer;
        },
        `Consumer.act: ${absent(1, 'Object')} ${wayOut}`,
      ],
      'a union': [
        () => {
          class Consumer extends ApiConsumer {
            @Action() act(_kwargs: Key | NoRules) {}
          }
          return Consumer;
        },
        `Consumer.act: ${absent(1, 'Object')} ${wayOut}`,
      ],
      'an array': [
        () => {
          class Consumer extends ApiConsumer {
            @Action({}) act(_kwargs: Key[]) {}
          }
          return Consumer;
        },
        `Consumer.act: ${absent(1, 'Array')} ${wayOut}`,
      ],
      'a number': [
        () => {
          class Consumer extends ApiConsumer {
            @Action() act(_room: number) {}
          }
          return Consumer;
        },
        `Consumer.act: ${absent(1, 'Number')} ${wayOut}`,
      ],
      'the kwargs of a detail action that do not exist at run time': [
        () => {
          class Consumer extends ApiConsumer {
            // @ts-expect-error refused by the types as well
            @DetailAction() act(_room: Room, _kwargs: Shape) {}
          }
          return Consumer;
        },
        `Consumer.act: ${absent(2, 'Object')} ${wayOut}`,
      ],
      'a class without rules': [
        () => {
          class Consumer extends ApiConsumer {
            @Action() act(_kwargs: NoRules) {}
          }
          return Consumer;
        },
        `Consumer.act: ${ruleless} ${addRules}`,
      ],
      'a class without rules that is named': [
        () => {
          class Consumer extends ApiConsumer {
            @Action({ kwargs: NoRules }) act(_kwargs: NoRules) {}
          }
          return Consumer;
        },
        `Consumer.act: ${ruleless} ${addRules}`,
      ],
      'the status of a part': [
        () => {
          class Consumer extends ApiConsumer {
            @Action({ status: 206 }) act() {}
          }
          return Consumer;
        },
        'Consumer.act: has the status 206, which is no status of a final reply. Give a whole number from 200 to 599, but not 206: that is a part, and a generator yields those.',
      ],
      'atomic together with detached': [
        () => {
          class Consumer extends ApiConsumer {
            @Action({ atomic: true, detached: true }) async act() {}
          }
          return Consumer;
        },
        'Consumer.act: is atomic and detached: its transaction would stay open for as long as it runs. Drop one of the two, and open a transaction inside where it is needed: em.transactional(…).',
      ],
    };
    for (const [what, [define, text]] of Object.entries(refusals)) {
      it(what, () => expect(define).to.throw(ConfigurationError, text).with.property('message', text));
    }

    it('a method of which the compiler wrote no types down', () => {
      const prototype = { constructor: class Plain {}, act(_kwargs: object) {} };
      expect(() => Action()(prototype, 'act', { value: prototype.act })).to.throw(
        ConfigurationError,
        'Plain.act: the compiler wrote no types down for it. Set "experimentalDecorators" and "emitDecoratorMetadata" in tsconfig.json, and compile with tsc: tsx and esbuild leave the types out. Or name the class of the kwargs, which needs no types: @Action({ kwargs: TheClass }).',
      );
    });
  });

  it('takes a Standard Schema, with any type of the parameter', () => {
    const schema = z.object({ room: z.number() });
    class Consumer extends ApiConsumer {
      @Action({ kwargs: schema }) act({ room }: z.infer<typeof schema>) {
        return room;
      }
    }
    expect(declaredActions(Consumer).get('act')).to.deep.equal({ isDetail: false, kwargs: schema });
  });
});

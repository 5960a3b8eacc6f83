import { expect } from 'chai';
import { Transform, Type } from 'class-transformer';
import {
  Allow,
  ArrayMaxSize,
  IsArray,
  IsEmail,
  IsInt,
  IsOptional,
  IsString,
  Length,
  Min,
  ValidateNested,
} from 'class-validator';
import { type KwargsSchema, ValidationFailed } from 'signalbox';
import { z } from 'zod';
import { checkKwargs } from '#signalbox/kwargs/kwargs-checker.js';

class Line {
  @IsString() item!: string;
  @IsInt() @Min(1) amount!: number;
}

class Order {
  @IsInt()
  room!: number;

  @IsOptional()
  @IsArray()
  @ArrayMaxSize(3)
  @IsInt({ each: true })
  tags?: number[];

  @IsOptional()
  @IsArray()
  @ValidateNested({ each: true })
  @Type(() => Line)
  lines?: Line[];

  @IsOptional()
  @ValidateNested()
  @Type(() => Line)
  first?: Line;

  @Allow()
  note?: unknown;

  total(): number {
    return 1;
  }
}

class UrgentOrder extends Order {
  @Length(1, 5) reason!: string;
}

const order = z.object({
  room: z.number().int('Whole numbers only.'),
  lines: z.array(z.object({ amount: z.number() })).optional(),
});

async function check(schema: KwargsSchema, raw: object, strict = false) {
  return checkKwargs(schema, raw as Record<string, unknown>, { strict });
}

async function textsOf(schema: KwargsSchema, raw: object, strict = false): Promise<unknown> {
  try {
    await check(schema, raw, strict);
  } catch (error) {
    if (error instanceof ValidationFailed && error.status === 400) return error.errors;
    throw error;
  }
  throw new Error('It passed.');
}

describe('Kwargs', () => {
  describe('of a class', () => {
    it('become an instance of it', async () => {
      const { value, dropped } = await check(Order, { room: 1, lines: [{ item: 'tea', amount: 2 }] });
      expect(value).to.be.instanceOf(Order);
      expect((value as Order).lines?.[0]).to.be.instanceOf(Line);
      expect(value).to.deep.equal(
        Object.assign(new Order(), { room: 1, lines: [Object.assign(new Line(), { item: 'tea', amount: 2 })] }),
      );
      expect(dropped).to.deep.equal([]);
    });

    for (const room of ['1', 1.5, null, true, [1], {}, '']) {
      it(`are refused by field: room ${JSON.stringify(room)}`, async () => {
        expect(await textsOf(Order, { room })).to.deep.equal([{ room: ['room must be an integer number.'] }]);
      });
    }

    it('name every field and every rule that fails', async () => {
      expect(await textsOf(UrgentOrder, { reason: 'too long' })).to.deep.equal([
        {
          reason: ['reason must be shorter than or equal to 5 characters.'],
          room: ['room must be an integer number.'],
        },
      ]);
      class Contact {
        @IsEmail() @Length(5, 9) email!: string;
      }
      expect(await textsOf(Contact, { email: 'x' })).to.deep.equal([
        { email: ['email must be longer than or equal to 5 characters.', 'email must be an email.'] },
      ]);
    });

    it('name nested fields by their path', async () => {
      expect(
        await textsOf(Order, {
          room: 1,
          lines: [{ item: 'a', amount: 1 }, { amount: 0 }],
          first: { item: 5, amount: 1 },
        }),
      ).to.deep.equal([
        {
          'lines.1.item': ['item must be a string.'],
          'lines.1.amount': ['amount must not be less than 1.'],
          'first.item': ['item must be a string.'],
        },
      ]);
    });

    it('are refused where an array is asked for, or something else in it', async () => {
      expect(await textsOf(Order, { room: 1, tags: 5 })).to.deep.equal([
        { tags: ['tags must contain no more than 3 elements.', 'tags must be an array.'] },
      ]);
      expect(await textsOf(Order, { room: 1, tags: [1, '2'] })).to.deep.equal([
        { tags: ['each value in tags must be an integer number.'] },
      ]);
    });

    it('are refused where a rule would take one value for a list of them, or a list for one', async () => {
      class Lists {
        @IsInt({ each: true }) tags!: number[];
        @ValidateNested() @Type(() => Line) lines!: Line[];
        @ValidateNested() @Type(() => Line) first!: Line;
        @Allow() any!: unknown;
      }
      const line = { item: 'a', amount: 1 };
      expect(await textsOf(Lists, { tags: 5, lines: line, first: [line], any: [] })).to.deep.equal([
        {
          tags: ['tags must be an array.'],
          lines: ['lines must be an array.'],
          first: ['first must not be an array.'],
        },
      ]);
      class Baskets {
        @ValidateNested() @Type(() => Lists) baskets!: Lists[];
      }
      const basket = { tags: 5, lines: [line], first: line };
      expect(await textsOf(Baskets, { baskets: [basket] })).to.deep.equal([
        { 'baskets.0.tags': ['tags must be an array.'] },
      ]);
    });

    it('are refused where a list is in the place of an item', async () => {
      class Basket {
        @ValidateNested({ each: true }) @Type(() => Line) lines!: Line[];
      }
      class Baskets {
        @ValidateNested({ each: true }) @Type(() => Basket) baskets!: Basket[];
      }
      const line = { item: 'a', amount: 1 };
      expect(await textsOf(Basket, { lines: [line, [line], []] })).to.deep.equal([
        { 'lines.1': ['1 must not be an array.'], 'lines.2': ['2 must not be an array.'] },
      ]);
      expect(await textsOf(Baskets, { baskets: [{ lines: [[[line]]] }] })).to.deep.equal([
        { 'baskets.0.lines.0': ['0 must not be an array.'] },
      ]);
    });

    it('are refused where a conversion throws', async () => {
      class Converted {
        @IsInt() @Type(() => Number) room!: number;
        @IsString() @Transform(({ value }) => value.trim()) name!: string;
      }
      const unread = [{ non_field_errors: ['A value could not be read.'] }];
      expect(await textsOf(Converted, { room: { toString: 1, valueOf: 1 }, name: 'a' })).to.deep.equal(unread);
      expect(await textsOf(Converted, { room: 1, name: 5 })).to.deep.equal(unread);
      expect((await check(Converted, { room: '1', name: ' a ' })).value).to.deep.equal(
        Object.assign(new Converted(), { room: 1, name: 'a' }),
      );
    });

    it('are dropped and named where the class does not declare them, at any depth', async () => {
      const raw = { room: 1, admin: true, first: { item: 'a', amount: 1, price: 0 } };
      const { value, dropped } = await check(Order, raw);
      expect(value).to.deep.equal(
        Object.assign(new Order(), { room: 1, first: Object.assign(new Line(), { item: 'a', amount: 1 }) }),
      );
      expect(dropped).to.deep.equal(['admin']);
    });

    it('are refused where the class does not declare them and the action is strict, at any depth', async () => {
      const raw = { room: 1, admin: true, first: { item: 'a', amount: 1, price: 0 } };
      expect(await textsOf(Order, raw, true)).to.deep.equal([
        { 'first.price': ['This field is not known.'], admin: ['This field is not known.'] },
      ]);
    });

    for (const name of ['constructor', 'toString', 'hasOwnProperty', 'total']) {
      it(`do not take ${name} for a field`, async () => {
        const { value, dropped } = await check(Order, { room: 1, [name]: 'x' });
        expect(value).to.deep.equal(Object.assign(new Order(), { room: 1 }));
        expect(Object.hasOwn(value as Order, name)).to.equal(false);
        expect(dropped).to.deep.equal([name]);
        expect(await textsOf(Order, { room: 1, [name]: 'x' }, true)).to.deep.equal([
          { [name]: ['This field is not known.'] },
        ]);
      });
    }

    const noLine = {
      item: ['item must be a string.'],
      amount: ['amount must not be less than 1.', 'amount must be an integer number.'],
    };
    const under = (path: string, texts: object): object =>
      Object.fromEntries(Object.entries(texts).map(([name, text]) => [`${path}.${name}`, text]));
    const noObject = (of: string): readonly string[] => [`${of} must be either object or array.`];
    const eachLine = 'each value in nested property lines';

    for (const [wrong, texts] of [
      [null, { 'lines.0': noObject(eachLine) }],
      [5, { 'lines.0': noObject(eachLine) }],
      ['x', { 'lines.0': noObject(eachLine) }],
      [true, { 'lines.0': noObject(eachLine) }],
      [[], { 'lines.0': ['0 must not be an array.'] }],
      [{}, under('lines.0', noLine)],
    ] as const) {
      it(`are refused where a line is ${JSON.stringify(wrong)}, with what else is wrong`, async () => {
        const room = ['room must be an integer number.'];
        expect(await textsOf(Order, { room: 'x', lines: [wrong] })).to.deep.equal([{ ...texts, room }]);
      });
    }

    for (const wrong of [5, 'x', true]) {
      it(`are refused where ${JSON.stringify(wrong)} is in the place of a line or of lines`, async () => {
        expect(await textsOf(Order, { room: 1, lines: wrong, first: wrong })).to.deep.equal([
          {
            lines: ['lines must be an array.', ...noObject(eachLine)],
            first: noObject('nested property first'),
          },
        ]);
      });
    }

    it('are refused where a line is in the place of lines, or lines in that of a line', async () => {
      const line = { item: 'a', amount: 1 };
      expect(await textsOf(Order, { room: 1, lines: line, first: [line] })).to.deep.equal([
        { lines: ['lines must be an array.'], first: ['first must not be an array.'] },
      ]);
    });

    it('let anything through where a field may be anything', async () => {
      const note = { a: [{ b: null }], '': 1 };
      expect((await check(Order, { room: 1, note })).value).to.have.deep.property('note', note);
    });

    it('refuse a nested value that names a constructor of its own', async () => {
      for (const forged of [1, 'Object', [], { prototype: { constructor: {} } }]) {
        expect(await textsOf(Order, { room: 1, note: { constructor: forged } })).to.deep.equal([
          { non_field_errors: ['A value could not be read.'] },
        ]);
      }
    });
  });

  describe('of a Standard Schema', () => {
    it('become its output', async () => {
      const { value, dropped } = await check(order, { room: 1, lines: [{ amount: 2 }] });
      expect(value).to.deep.equal({ room: 1, lines: [{ amount: 2 }] });
      expect(dropped).to.deep.equal([]);
    });

    it('are refused by field, nested ones by their path', async () => {
      expect(await textsOf(order, { room: 1.5, lines: [{ amount: 1 }, {}] })).to.deep.equal([
        {
          room: ['Whole numbers only.'],
          'lines.1.amount': ['Invalid input: expected number, received undefined'],
        },
      ]);
    });

    it('are refused as a whole where the schema names no field', async () => {
      const pair = z.object({ a: z.number(), b: z.number() }).refine(({ a, b }) => a < b, 'Has to grow.');
      expect(await textsOf(pair, { a: 2, b: 1 })).to.deep.equal([{ non_field_errors: ['Has to grow.'] }]);
    });

    it('collect the texts of one field', async () => {
      const name = z.object({
        name: z
          .string()
          .min(3, 'Too short.')
          .regex(/^[a-z]+$/, 'Letters only.'),
      });
      expect(await textsOf(name, { name: '1' })).to.deep.equal([{ name: ['Too short.', 'Letters only.'] }]);
    });

    it('are dropped and named where the schema does not declare them, and refused where the action is strict', async () => {
      const { value, dropped } = await check(order, { room: 1, admin: true, constructor: 1 });
      expect(value).to.deep.equal({ room: 1 });
      expect(dropped).to.deep.equal(['admin', 'constructor']);
      expect(await textsOf(order, { room: 1, admin: true }, true)).to.deep.equal([
        { admin: ['This field is not known.'] },
      ]);
    });

    it('may be checked asynchronously', async () => {
      const free = z.object({ name: z.string().refine(async (name) => name !== 'taken', 'Taken.') });
      expect(await textsOf(free, { name: 'taken' })).to.deep.equal([{ name: ['Taken.'] }]);
      expect((await check(free, { name: 'free' })).value).to.deep.equal({ name: 'free' });
    });

    for (const name of ['constructor', 'toString', 'hasOwnProperty', 'valueOf']) {
      it(`may have a field called ${name}`, async () => {
        const votes = z.object({ votes: z.record(z.string(), z.number('A number.')) });
        const open = z.record(z.string(), z.number('A number.'));
        expect(await textsOf(votes, { votes: { [name]: 'x' } })).to.deep.equal([{ [`votes.${name}`]: ['A number.'] }]);
        expect(await textsOf(open, { [name]: 'x' })).to.deep.equal([{ [name]: ['A number.'] }]);
        expect((await check(open, { [name]: 1 }, true)).dropped).to.deep.equal([]);
      });
    }
  });
});

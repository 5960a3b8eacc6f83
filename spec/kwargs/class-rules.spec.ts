import { expect } from 'chai';
import { Expose, Type } from 'class-transformer';
import { IsEmail, IsInt, Length } from 'class-validator';
import { checkProperties, hasRules, toView } from '#signalbox/kwargs/kwargs-checker.js';

class Person {
  @Length(2, 5) name!: string;
  @IsEmail() email!: string;

  constructor() {
    throw new Error('A constructor has nothing to do with the rules.');
  }
}

class Employee extends Person {}

class Plain {
  name!: string;
}

class LineView {
  @Expose() amount!: number;
}

class OrderView {
  @Expose() id!: number;
  @Expose() at!: Date;
  @Expose() @Type(() => LineView) lines!: LineView[];
}

describe('The rules of a class', () => {
  it('are its own and those of the class that it extends', () => {
    expect([Person, Employee, Plain].map(hasRules)).to.deep.equal([true, true, false]);
  });

  it('are checked for the properties that are given, without a constructor', async () => {
    expect(await checkProperties(Employee, { name: 'x' })).to.deep.equal({
      name: ['name must be longer than or equal to 2 characters.'],
    });
    expect(await checkProperties(Employee, { name: 'ann' })).to.deep.equal({});
    expect(await checkProperties(Employee, {})).to.deep.equal({});
  });

  it('say nothing of properties that no rule names, nor of classes without rules', async () => {
    expect(await checkProperties(Person, { age: -1 })).to.deep.equal({});
    expect(await checkProperties(Plain, { name: 5 })).to.deep.equal({});
  });

  it('end each text with a full stop', async () => {
    class Sentences {
      @IsInt({ message: 'Whole numbers only.' }) dotted!: number;
      @IsInt({ message: 'Whole numbers only' }) bare!: number;
    }
    expect(await checkProperties(Sentences, { dotted: 'x', bare: 'x' })).to.deep.equal({
      dotted: ['Whole numbers only.'],
      bare: ['Whole numbers only.'],
    });
  });
});

describe('The view of a class', () => {
  it('shows what it exposes, at any depth, and nothing else', () => {
    const at = new Date(0);
    const order = { id: 1, at, secret: 'x', lines: [{ amount: 2, price: 3 }] };
    expect(JSON.parse(JSON.stringify(toView(OrderView, order)))).to.deep.equal({
      id: 1,
      at: '1970-01-01T00:00:00.000Z',
      lines: [{ amount: 2 }],
    });
  });

  it('shows nothing as nothing', () => {
    expect(toView(OrderView, null)).to.equal(null);
    expect(toView(OrderView, undefined)).to.equal(undefined);
  });
});

import { expect } from 'chai';
import { Redaction } from '#signalbox/redaction.js';
import { defaultSettings } from '#signalbox/settings.js';

describe('Redaction', () => {
  const redaction = new Redaction(defaultSettings.log.redacted);

  it('hides fields whose names tell of secrets, in any case and at any depth', () => {
    const fields = {
      password: 'a',
      newPassword: 'b',
      headers: [{ Authorization: 'Bearer c', 'set-cookie': ['d'], host: 'e' }],
      clientSecret: { value: 'f' },
      access_token: 7,
      name: 'ann',
    };
    expect(redaction.apply(fields)).to.deep.equal({
      password: '[redacted]',
      newPassword: '[redacted]',
      headers: [{ Authorization: '[redacted]', 'set-cookie': '[redacted]', host: 'e' }],
      clientSecret: '[redacted]',
      access_token: '[redacted]',
      name: 'ann',
    });
    expect(fields.password).to.equal('a');
  });

  it('hides them in objects of classes too, such as kwargs and entities', () => {
    class Login {
      name = 'ann';
      password = 'a';
      at = new Date(0);
    }
    class Shown {
      readonly #token = 'b';
      toJSON() {
        return { token: this.#token, id: 1 };
      }
    }
    const fields = { kwargs: new Login(), list: [new Shown()], by: new Map([['secret', 'c']]) };
    expect(JSON.parse(JSON.stringify(redaction.apply(fields)))).to.deep.equal({
      kwargs: { name: 'ann', password: '[redacted]', at: '1970-01-01T00:00:00.000Z' },
      list: [{ token: '[redacted]', id: 1 }],
      by: {},
    });
  });

  it('ends where objects know each other', () => {
    class Person {
      password = 'a';
      friends: Person[] = [];
    }
    const people = Array.from({ length: 50 }, () => new Person());
    for (const person of people) person.friends = people;
    const { ann } = redaction.apply({ ann: people[0] }) as { ann: Person };
    expect(ann.friends[7]?.friends[8]?.password).to.equal('[redacted]');
  });

  it('gives what has no secrets back as it is', () => {
    const fields = { a: 1, error: new Error('x'), list: [1, { b: 2 }], at: new Date(0), bytes: new Uint8Array(1) };
    expect(redaction.apply(fields)).to.equal(fields);
  });

  it('hides what it is told to, and takes names literally', () => {
    expect(new Redaction(['pin', 'a.b']).apply({ PIN: 1, 'a.b': 2, axb: 3, token: 4 })).to.deep.equal({
      PIN: '[redacted]',
      'a.b': '[redacted]',
      axb: 3,
      token: 4,
    });
    expect(new Redaction([]).apply({ password: 1 })).to.deep.equal({ password: 1 });
  });
});

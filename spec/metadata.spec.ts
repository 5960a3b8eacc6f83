import { expect } from 'chai';
import { ClassMetadata, MemberMetadata } from '#signalbox/metadata.js';

describe('Notes on members', () => {
  it('are read with those of the classes that a class extends', () => {
    const notes = new MemberMetadata<number>('member');
    class Parent {}
    class Child extends Parent {}
    notes.write(Parent.prototype, 'one', 1);
    notes.write(Child.prototype, 'two', 2);
    expect([...notes.read(Child)]).to.deep.equal([
      ['one', 1],
      ['two', 2],
    ]);
    expect([...notes.read(Parent)]).to.deep.equal([['one', 1]]);
  });

  it('are replaced by a subclass for itself only', () => {
    const notes = new MemberMetadata<string>('member');
    class Parent {}
    class Child extends Parent {}
    class Sibling extends Parent {}
    notes.write(Parent.prototype, 'run', 'parent');
    notes.write(Child.prototype, 'run', 'child');
    expect(notes.read(Child).get('run')).to.equal('child');
    expect(notes.read(Sibling).get('run')).to.equal('parent');
  });

  it('of two kinds do not meet, even under one name', () => {
    const one = new MemberMetadata<number>('same');
    const other = new MemberMetadata<number>('same');
    class Noted {}
    one.write(Noted.prototype, 'run', 1);
    expect(other.read(Noted).size).to.equal(0);
  });

  it('may be on members with the names of Object.prototype', () => {
    const notes = new MemberMetadata<number>('member');
    class Noted {}
    class Plain {}
    notes.write(Noted.prototype, 'toString', 1);
    notes.write(Noted.prototype, '__proto__', 2);
    expect([...notes.read(Noted)]).to.deep.equal([
      ['toString', 1],
      ['__proto__', 2],
    ]);
    expect(notes.read(Plain).size).to.equal(0);
  });

  it('do not show up as members', () => {
    const notes = new MemberMetadata<number>('member');
    class Noted {}
    notes.write(Noted.prototype, 'run', 1);
    expect(Object.keys(Noted.prototype)).to.deep.equal([]);
    expect({ ...Noted.prototype }).to.deep.equal({});
  });
});

describe('Notes on classes', () => {
  it('are found on the nearest class', () => {
    const notes = new ClassMetadata<string>('class');
    class Grandparent {}
    class Parent extends Grandparent {}
    class Child extends Parent {}
    expect(notes.find(Child)).to.equal(undefined);
    notes.write(Grandparent, 'old');
    expect(notes.find(Child)).to.equal('old');
    notes.write(Parent, 'new');
    expect(notes.find(Child)).to.equal('new');
    expect(notes.find(Grandparent)).to.equal('old');
  });

  it('are on a class only if the class itself bears them', () => {
    const notes = new ClassMetadata<string>('class');
    class Parent {}
    class Child extends Parent {}
    notes.write(Parent, 'note');
    expect(notes.isOn(Parent)).to.equal(true);
    expect(notes.isOn(Child)).to.equal(false);
    notes.write(Child, 'note');
    expect(notes.isOn(Child)).to.equal(true);
  });
});

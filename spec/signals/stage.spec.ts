import { expect } from 'chai';
import { Stage } from '#signalbox/signals/stage.js';

/** Entries add up; a sum of zero cancels out. */
const add = (earlier: number, later: number): number | undefined => earlier + later || undefined;

describe('A stage', () => {
  it('releases its entries in the order of their keys, once', () => {
    const stage = new Stage(add);
    stage.stage('b', 1);
    stage.stage('a', 2);
    stage.stage('b', 3);
    expect(stage.release()).to.deep.equal([4, 2]);
    expect(stage.release()).to.deep.equal([]);
  });

  it('forgets a key whose entries cancel out', () => {
    const stage = new Stage(add);
    stage.stage('a', 1);
    stage.stage('a', -1);
    expect(stage.isEmpty).to.equal(true);
    expect(stage.release()).to.deep.equal([]);
  });

  it('of a savepoint releases into the stage around it, where entries are merged', () => {
    const outer = new Stage(add);
    const inner = new Stage(add, outer);
    outer.stage('a', 1);
    inner.stage('a', 2);
    inner.stage('b', 3);
    expect(inner.release()).to.deep.equal([]);
    expect(outer.release()).to.deep.equal([3, 3]);
  });

  it('of a savepoint that is dropped leaves the stage around it as it was', () => {
    const outer = new Stage(add);
    const inner = new Stage(add, outer);
    outer.stage('a', 1);
    inner.stage('a', 2);
    expect(outer.release()).to.deep.equal([1]);
  });
});

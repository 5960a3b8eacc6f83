import { expect } from 'chai';
import { type PublicName, publicNames } from './support/docstrings.js';

describe('The docstrings', function () {
  // The compiler reads the declarations of every entry point.
  this.timeout(60_000);
  let names: readonly PublicName[];

  before(() => {
    names = publicNames();
  });

  it('are there for every public class, function, interface, type and decorator', () => {
    const bare = names.filter(({ isDocumented }) => !isDocumented).map(({ name, from }) => `${from}: ${name}`);
    expect(bare).to.deep.equal([]);
  });

  it('are there for every public member of a class or interface, and for every option', () => {
    const members = names.flatMap(({ from, members }) => members.map((member) => ({ from, ...member })));
    const bare = members.filter(({ isDocumented }) => !isDocumented).map(({ from, name }) => `${from}: ${name}`);
    expect(members.length).to.be.greaterThan(names.length);
    expect([...new Set(bare)]).to.deep.equal([]);
  });

  it('are read from every entry point', () => {
    expect([...new Set(names.map(({ from }) => from))]).to.deep.equal([
      'signalbox',
      'signalbox/json-web-tokens',
      'signalbox/redis',
      'signalbox/testing',
      'signalbox/opentelemetry',
      'signalbox/explorer',
      'signalbox/client',
      'signalbox/react',
    ]);
  });
});

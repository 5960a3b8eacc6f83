import { expect } from 'chai';
import { type PublicName, publicNames } from './support/docstrings.js';

/** What applications implement or extend; their other members are in the classes that an application only uses. */
const extended = [
  'Authentication',
  'ChannelLayer',
  'Clock',
  'Counters',
  'ErrorMapper',
  'FilterBackend',
  'Logger',
  'PageSource',
  'Paginator',
  'Rights',
  'ScopeMiddleware',
  'Serializer',
  'SessionStore',
  'TicketStore',
  'TokenVerifier',
  'Tracer',
  'Transport',
  'TransportListener',
  'UserStore',
];

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

  it('are there for every option and every kwarg', () => {
    expect(bareMembers(({ name }) => /(Options|Kwargs)$/.test(name))).to.deep.equal([]);
  });

  it('are there for every member of what applications implement or extend', () => {
    expect(names.map(({ name }) => name)).to.include.members(extended);
    expect(bareMembers(({ name }) => extended.includes(name))).to.deep.equal([]);
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

  function bareMembers(counts: (name: PublicName) => boolean): string[] {
    const members = names.filter(counts).flatMap(({ from, members }) => members.map((member) => ({ from, ...member })));
    return members.filter(({ isDocumented }) => !isDocumented).map(({ from, name }) => `${from}: ${name}`);
  }
});

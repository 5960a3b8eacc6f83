import { expect } from 'chai';
import { type Client, type LiveCollection, type LiveOptions, live, type Subscription } from 'signalbox/client';
import { FakeNetwork, type FakeSocket, settled } from './fake-network.js';

interface Row {
  readonly id: number;
  readonly name: string;
}
type Event =
  | { readonly action: 'create' | 'update'; readonly data: Row }
  | { readonly action: 'delete'; readonly data: { readonly pk: number } };

type Listed = readonly Row[] | { readonly results: readonly Row[] };

const [a, b, c] = ['a', 'b', 'c'].map((name, index) => ({ id: index + 1, name })) as [Row, Row, Row];

describe('A live collection', () => {
  let network: FakeNetwork;
  let client: Client<object>;
  let socket: FakeSocket;
  let listings: PromiseWithResolvers<Listed>[];
  let subscription: Subscription<Event>;
  let rows: LiveCollection<Row>;
  beforeEach(async () => {
    network = new FakeNetwork();
    network.random = 0;
    client = network.createClient({ heartbeat: 0 });
    socket = await network.open();
    listings = [];
  });
  afterEach(() => client.$close());

  function collect(options: Partial<LiveOptions<Row>> = {}): void {
    subscription = client.$subscribe<Event>(null, { action: 'watch' });
    const list = (): Promise<Listed> => {
      const listing = Promise.withResolvers<Listed>();
      listings.push(listing);
      return listing.promise;
    };
    rows = live(subscription, { list, ...options });
  }

  async function accept(): Promise<void> {
    socket.reply(null, { status: 201, id: 1 });
    await settled();
  }

  async function listed(...found: readonly Row[]): Promise<void> {
    listings.at(-1)?.resolve(found);
    await settled();
  }

  function happen(action: Event['action'], data: Event['data']): void {
    const status = action === 'delete' ? 204 : 200;
    socket.receive({ errors: [], data, action, response_status: status, request_id: 1 });
  }

  const shown = (): unknown => {
    const { status, rows: found } = rows.getSnapshot();
    return [status, ...found.map(({ id, name }) => `${id}${name}`)];
  };

  async function comeBack(): Promise<void> {
    socket.drop();
    await network.advance(0);
    socket = await network.open();
  }

  it('lists once it is subscribed, and not before', async () => {
    collect();
    await settled();
    expect([shown(), listings.length]).to.deep.equal([['loading'], 0]);
    await accept();
    expect([shown(), listings.length]).to.deep.equal([['loading'], 1]);
    await listed(a, b);
    expect(shown()).to.deep.equal(['ready', '1a', '2b']);
  });

  it('takes a page for a list', async () => {
    collect();
    await accept();
    listings[0]?.resolve({ results: [a] });
    await settled();
    expect(shown()).to.deep.equal(['ready', '1a']);
  });

  it('follows creates, updates and deletes', async () => {
    collect();
    await accept();
    await listed(a, b);
    happen('create', c);
    happen('update', { id: 1, name: 'A' });
    happen('delete', { pk: 2 });
    expect(shown()).to.deep.equal(['ready', '1A', '3c']);
  });

  it('applies what came while it listed to what was listed, whichever of them is older', async () => {
    collect();
    await accept();
    happen('create', c);
    happen('update', { id: 1, name: 'A' });
    happen('delete', { pk: 2 });
    await listed(a, b);
    expect(shown()).to.deep.equal(['ready', '1A', '3c']);
    rows.refetch();
    happen('delete', { pk: 3 });
    await listed({ id: 1, name: 'A' });
    expect(shown()).to.deep.equal(['ready', '1A']);
  });

  it('keeps the order that it is given', async () => {
    collect({ compare: (one, other) => other.id - one.id });
    await accept();
    await listed(a, c);
    happen('create', b);
    expect(shown()).to.deep.equal(['ready', '3c', '2b', '1a']);
  });

  it('keeps to its filter: rows enter and leave by it', async () => {
    collect({ filter: ({ name }) => name !== 'hidden' });
    await accept();
    await listed(a, { id: 2, name: 'hidden' });
    expect(shown()).to.deep.equal(['ready', '1a']);
    happen('update', b);
    happen('update', { id: 1, name: 'hidden' });
    happen('create', { id: 4, name: 'hidden' });
    expect(shown()).to.deep.equal(['ready', '2b']);
  });

  it('does not take in a row by a change that it did not list: that may be on another page', async () => {
    collect();
    await accept();
    await listed(a);
    happen('update', b);
    expect(shown()).to.deep.equal(['ready', '1a']);
  });

  it('tells rows apart by the key that it is given, also one of several columns', async () => {
    interface Code {
      readonly shelf: number;
      readonly code: string;
    }
    type CodeEvent =
      | { readonly action: 'create'; readonly data: Code }
      | { readonly action: 'delete'; readonly data: { readonly pk: object } };
    const codes = live(client.$subscribe<CodeEvent>(null, { action: 'watch' }), {
      list: async () => [
        { shelf: 1, code: 'x' },
        { shelf: 2, code: 'x' },
      ],
      key: ({ shelf, code }) => ({ shelf, code }),
    });
    await accept();
    happen('delete', { pk: { shelf: 1, code: 'x' } as never });
    expect(codes.getSnapshot().rows).to.deep.equal([{ shelf: 2, code: 'x' }]);
  });

  it('gives the same snapshot until something changes, and tells its listeners then', async () => {
    collect();
    let told = 0;
    const stop = rows.subscribe(() => told++);
    await accept();
    await listed(a);
    const before = rows.getSnapshot();
    expect(rows.getSnapshot()).to.equal(before);
    const toldBefore = told;
    happen('create', b);
    expect(told).to.equal(toldBefore + 1);
    expect(rows.getSnapshot()).to.not.equal(before);
    expect(before.rows).to.deep.equal([a]);
    stop();
    happen('create', c);
    expect(told).to.equal(toldBefore + 1);
  });

  it('is stale while the client is away, lists again when it is back, and is ready after that', async () => {
    collect();
    await accept();
    await listed(a, b);
    await comeBack();
    expect(shown()).to.deep.equal(['stale', '1a', '2b']);
    await accept();
    expect([shown(), listings.length]).to.deep.equal([['stale', '1a', '2b'], 2]);
    happen('create', c);
    await listed(b);
    expect(shown()).to.deep.equal(['ready', '2b', '3c']);
  });

  it('does not mind a list that was lost with the connection, nor takes it where it comes too late', async () => {
    collect();
    await accept();
    socket.drop();
    listings[0]?.reject(new Error('lost'));
    await settled();
    expect(shown()).to.deep.equal(['loading']);
    await network.advance(0);
    socket = await network.open();
    await accept();
    rows.refetch();
    listings[1]?.resolve([a]);
    await settled();
    expect(shown()).to.deep.equal(['loading']);
    await listed(b);
    expect(shown()).to.deep.equal(['ready', '2b']);
  });

  it('says why it could not list, and lists again when it is told to', async () => {
    collect();
    await accept();
    const failure = new Error('no');
    listings[0]?.reject(failure);
    await settled();
    expect(rows.getSnapshot()).to.include({ status: 'failed', error: failure });
    rows.refetch();
    expect(shown()).to.deep.equal(['loading']);
    await listed(a);
    expect([shown(), rows.getSnapshot().error]).to.deep.equal([['ready', '1a'], undefined]);
  });

  it('says why it was refused or revoked, and keeps its rows', async () => {
    collect();
    await accept();
    await listed(a);
    socket.reply(null, { status: 403, code: 'revoked', id: 1 });
    expect(shown()).to.deep.equal(['failed', '1a']);
    expect(rows.getSnapshot().error).to.equal(subscription.error);
  });

  it('ends its subscription when it is closed, and changes no more', async () => {
    collect();
    await accept();
    rows.close();
    await listed(a);
    expect([subscription.state, shown()]).to.deep.equal(['ended', ['loading']]);
  });
});

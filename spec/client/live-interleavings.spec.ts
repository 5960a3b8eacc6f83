import { expect } from 'chai';
import fc from 'fast-check';
import { type Client, type LiveCollection, live } from 'signalbox/client';
import { checkAsyncProperty } from '../support/properties.js';
import { FakeNetwork, settled } from './fake-network.js';

interface Row {
  readonly id: number;
  readonly shelf: number;
}
interface Event {
  readonly action: 'create' | 'update' | 'delete';
  readonly data: unknown;
}

const byId = (one: Row, other: Row): number => one.id - other.id;

/** A table, its events on their way to one client, and the answer to its list, which is read and sent when a script says. */
class Server {
  readonly network = new FakeNetwork();
  readonly client: Client<object>;
  readonly collection: LiveCollection<Row>;
  readonly #rows = new Map<number, Row>();
  #events: Event[] = [];
  #isSubscribed = false;
  #isOpen = false;
  /** The latest that was read. */
  #listing: { readonly id: unknown; readonly rows: readonly Row[] } | undefined;

  constructor(readonly filter: ((row: Row) => boolean) | undefined) {
    this.network.random = 0;
    this.client = this.network.createClient({ heartbeat: 0, timeout: 0 });
    this.collection = live(this.client.$subscribe<LiveEvent>(null, { action: 'watch' }), {
      list: () => this.client.$request<Row[]>(null, { action: 'list' }),
      compare: byId,
      ...(filter && { filter }),
    });
  }

  get rows(): readonly Row[] {
    const rows = [...this.#rows.values()].sort(byId);
    return this.filter ? rows.filter(this.filter) : rows;
  }

  write(id: number, shelf: number): void {
    this.#tell({ action: this.#rows.has(id) ? 'update' : 'create', data: { id, shelf } });
    this.#rows.set(id, { id, shelf });
  }

  remove(id: number): void {
    if (this.#rows.delete(id)) this.#tell({ action: 'delete', data: { pk: id } });
  }

  deliver(): void {
    const event = this.#events.shift();
    if (event) this.#send(event, 1, 200);
  }

  async open(): Promise<void> {
    if (this.#isOpen) return;
    await this.network.advance(0);
    this.network.socket.open();
    this.#isOpen = true;
    await settled();
  }

  accept(): void {
    if (!this.#isOpen || this.#isSubscribed) return;
    this.#isSubscribed = true;
    this.#send({ action: 'create', data: null }, 1, 201);
  }

  /** The list is read now, and answered later. */
  read(): void {
    if (!this.#isOpen) return;
    const asked = this.network.socket.sent.findLast(({ action }) => action === 'list');
    if (!asked || this.#listing?.id === asked['request_id']) return;
    this.#listing = { id: asked['request_id'], rows: [...this.#rows.values()] };
  }

  answer(): void {
    if (!this.#isOpen || !this.#listing) return;
    this.network.socket.reply(this.#listing.rows, { id: this.#listing.id });
  }

  drop(): void {
    if (!this.#isOpen) return;
    this.#isOpen = this.#isSubscribed = false;
    this.#events = [];
    this.#listing = undefined;
    this.network.socket.drop(1012);
  }

  /** Everything that was on its way arrives. */
  async settle(): Promise<void> {
    await this.open();
    this.accept();
    await settled();
    this.read();
    this.answer();
    while (this.#events.length > 0) this.deliver();
    await settled();
  }

  #tell(event: Event): void {
    if (this.#isSubscribed) this.#events.push(event);
  }

  #send({ action, data }: Event, id: number, status: number): void {
    this.network.socket.receive({ errors: [], data, action, response_status: status, request_id: id });
  }
}

type LiveEvent =
  | { readonly action: 'create' | 'update'; readonly data: Row }
  | { readonly action: 'delete'; readonly data: { readonly pk: number } };

const kinds = ['write', 'write', 'remove', 'deliver', 'open', 'accept', 'read', 'answer', 'drop'] as const;
const script = fc.array(fc.record({ kind: fc.constantFrom(...kinds), id: fc.nat(3), shelf: fc.nat(2) }), {
  maxLength: 60,
});

describe('A live collection, whenever it lists and whatever comes meanwhile,', () => {
  for (const [name, filter] of [
    ['without a filter', undefined],
    ['with one', ({ shelf }: Row) => shelf > 0],
  ] as const) {
    it(`has the rows of the server once everything has arrived, ${name}`, async function () {
      this.timeout(600_000);
      await checkAsyncProperty(
        fc.asyncProperty(script, async (played) => {
          const server = new Server(filter);
          for (const { kind, id, shelf } of played) {
            await server[kind](id, shelf);
            await settled();
          }
          await server.settle();
          expect(server.collection.getSnapshot()).to.deep.equal({
            rows: server.rows,
            status: 'ready',
            error: undefined,
          });
          server.client.$close();
        }),
        300,
      );
    });
  }
});

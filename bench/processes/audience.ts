import { Client } from '../bars/client.js';
import { type Dialect, dialects } from '../compare/dialects.js';

/** Whatever is shorter is no message of the group. */
const shortestMessage = 200;

/** The sockets that get all messages of one group. They read frames by hand, so that the servers are the slower part. */
export class Audience {
  /** Called for each delivery, with the number that the message has for this socket: those of all are counted from 0. */
  onDelivery: (number: number) => void = () => {};
  /** By socket, how many messages it got since `begin`. */
  readonly #counts: number[];

  private constructor(
    private readonly clients: readonly Client[],
    { ping, pong = '' }: Dialect,
  ) {
    this.#counts = clients.map(() => 0);
    for (const [index, client] of clients.entries()) {
      client.onText = (text) => {
        if (text.length >= shortestMessage) this.#take(index, text);
        else if (String(text) === ping) client.sendText(pong);
      };
      client.onClose = (code) => {
        throw new Error(`A server closed a socket with ${code}.`);
      };
    }
  }

  /** Resolves when all sockets are in the group. */
  static async open(port: number, name: 'dcrf' | 'socketIo', sockets: number): Promise<Audience> {
    const dialect = dialects[name];
    const join = async (_: unknown, source: number): Promise<Client> => {
      const client = await Client.open({ port, path: dialect.path, source });
      if (dialect.greet) await dialect.greet(client);
      else if (client.received === 0) await client.nextOnes(1);
      return client;
    };
    return new Audience(await Promise.all(Array.from({ length: sockets }, join)), dialect);
  }

  get size(): number {
    return this.clients.length;
  }

  /** From now on the next message has the number 0. */
  begin(): void {
    this.#counts.fill(0);
  }

  end(): void {
    for (const client of this.clients) client.end();
  }

  /** One socket looks whether what is counted is what was sent: all of it, once and in order. */
  #take(index: number, text: Buffer): void {
    const number = this.#counts[index] ?? 0;
    this.#counts[index] = number + 1;
    if (index === 0 && !text.includes(`"number":${number},`)) throw new Error(`Message ${number} came as ${text}.`);
    this.onDelivery(number);
  }
}

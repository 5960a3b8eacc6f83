import { once } from 'node:events';
import { createServer } from 'node:http';
import { expect } from 'chai';
import { Action, ActionContext, ApiConsumer, type App, Consumer, path } from 'signalbox';
import { WebSocket } from 'ws';
import { within } from '../support/deadline.js';
import { listening } from '../support/ports.js';
import { useServer } from '../support/serving.js';
import { SocketClient, writesOf } from '../support/sockets.js';

@Consumer({ binary: true })
class EchoConsumer extends ApiConsumer {
  @Action()
  async fill({ kwargs: { letter, count } }: ActionContext) {
    return String(letter).repeat(Number(count));
  }

  protected override onBinary(data: Uint8Array): void {
    this.sendBinary(data);
  }
}

const around = '{"errors":[],"data":"","action":"fill","response_status":200,"request_id":1}'.length;

/** A length has 7 bits, 16 or 64 (RFC 6455, 5.2): both sides of each border. */
const lengths = [125, 126, 65_535, 65_536, 200_000];

let gate = Promise.withResolvers<void>();

/** Its actions end when the gate opens. */
@Consumer()
class WaitingConsumer extends ApiConsumer {
  @Action()
  async wait() {
    await gate.promise;
  }

  @Action({ detached: true })
  async waitAside() {
    await gate.promise;
  }

  @Action()
  async answer() {}
}

describe('Frames over a socket', () => {
  const serve = useServer();
  let app: App;
  let socket: WebSocket;

  beforeEach(async () => {
    ({ app } = serve([path('/', EchoConsumer)], { settings: { maxPayload: 300_000 } }));
    const { port } = await app.listen({ host: '127.0.0.1' });
    socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    await within(once(socket, 'open'), 'The open socket');
  });
  afterEach(() => socket.terminate());

  async function received(): Promise<readonly [Buffer, boolean]> {
    const [data, isBinary] = await within(once(socket, 'message'), 'A frame');
    return [data as Buffer, isBinary as boolean];
  }

  for (const length of lengths) {
    it(`are whole with ${length} bytes of ASCII text`, async () => {
      const count = length - around;
      socket.send(JSON.stringify({ action: 'fill', request_id: 1, letter: 'a', count }));
      const [data, isBinary] = await received();
      expect([data.length, isBinary]).to.deep.equal([length, false]);
      expect(JSON.parse(String(data)).data).to.equal('a'.repeat(count));
    });

    it(`are whole with ${length} bytes of other text, however many characters these are`, async () => {
      const count = Math.floor((length - around) / 2);
      socket.send(JSON.stringify({ action: 'fill', request_id: 1, letter: 'é', count }));
      const [data, isBinary] = await received();
      expect([data.length, isBinary]).to.deep.equal([around + 2 * count, false]);
      expect(JSON.parse(String(data)).data).to.equal('é'.repeat(count));
    });

    it(`are whole with ${length} bytes that are no text`, async () => {
      socket.send(Buffer.alloc(length, 0xe9));
      const [data, isBinary] = await received();
      expect(isBinary).to.equal(true);
      expect(data.equals(Buffer.alloc(length, 0xe9))).to.equal(true);
    });
  }

  it('keep their order where some of one tick are ASCII and others are not', async () => {
    const letters = ['a', 'é', '日', 'b', '😀'];
    const seen: string[] = [];
    const all = new Promise<void>((resolve) => {
      socket.on('message', (data) => {
        seen.push(JSON.parse(String(data)).data);
        if (seen.length === letters.length) resolve();
      });
    });
    for (const letter of letters) socket.send(JSON.stringify({ action: 'fill', request_id: 1, letter, count: 3 }));
    await within(all, 'All frames');
    expect(seen).to.deep.equal(['aaa', 'ééé', '日日日', 'bbb', '😀😀😀']);
  });

  describe('of one tick leave in one write', () => {
    for (const { title, actions } of [
      { title: 'replies of actions that end together', actions: ['wait_aside', 'wait_aside', 'wait_aside'] },
      { title: 'replies of requests that waited for the one before them', actions: ['wait', 'answer', 'answer'] },
    ])
      it(title, async () => {
        gate = Promise.withResolvers();
        const server = createServer();
        const writes = writesOf(server);
        await serve([path('/', WaitingConsumer)]).app.attach(server);
        await using client = await SocketClient.open(`ws://127.0.0.1:${await listening(server)}/`);
        client.send({ action: 'answer', request_id: 0 });
        await client.receive();
        for (const [index, action] of actions.entries()) client.send({ action, request_id: index + 1 });
        // The server has read what came before this ping.
        await client.ponged();
        gate.resolve();
        for (const _ of actions) await client.receive();
        const answered = writes.map((text) => [...text.matchAll(/"request_id":(\d)/g)].map(([, id]) => Number(id)));
        expect(answered.filter(({ length }) => length > 0)).to.deep.equal([[0], [1, 2, 3]]);
        server.close();
      });
  });
});

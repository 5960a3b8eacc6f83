import { expect } from 'chai';
import { type App, ConfigurationError } from 'signalbox';
import type { PlainRequest, PlainResponse } from '#signalbox/server/app-explorer.js';
import { Inbox } from '#signalbox/testing/inbox.js';
import { useDatabase } from '../support/database.js';
import { within } from '../support/deadline.js';
import { Message, Room } from '../support/entities.js';
import { testProviders } from '../support/providers.js';
import { type Frame, refusalOf, SocketClient } from '../support/sockets.js';
import { exploredApp } from './fixture.js';

const key = '0123456789abcdef'.repeat(2);

describe('The explorer', () => {
  const database = useDatabase('explorer');
  let app: App;
  let host: string;

  beforeEach(async () => {
    app = exploredApp(database.orm);
    const { port } = await app.listen({ host: '127.0.0.1' });
    host = `127.0.0.1:${port}`;
  });
  afterEach(() => app.close());

  const get = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`http://${host}${path}`, { redirect: 'manual', ...init });

  describe('over HTTP', () => {
    it('serves a page that loads nothing from elsewhere', async () => {
      const response = await get('/explorer/');
      expect(response.status).to.equal(200);
      expect(response.headers.get('content-type')).to.equal('text/html; charset=utf-8');
      expect(response.headers.get('content-security-policy')).to.equal(
        `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws://${host} wss://${host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'`,
      );
      const html = await response.text();
      const loaded = [...html.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, url]) => url);
      expect(loaded).to.include.members(['main.js', 'explorer.css', 'icon.svg']);
      for (const url of loaded) expect((await get(`/explorer/${url}`)).status, url).to.equal(200);
    });

    it('leads to the slash, and has nothing else', async () => {
      const response = await get('/explorer');
      expect([response.status, response.headers.get('location')]).to.deep.equal([308, '/explorer/']);
      expect((await get('/explorer/nothing.js')).status).to.equal(404);
      expect((await get('/explorer/..%2fexplorer.js')).status).to.equal(404);
      expect((await get('/explorer/', { method: 'POST' })).status).to.equal(405);
      expect((await get('/elsewhere')).status).to.equal(426);
    });

    it('stands in the line of the log that says what is served', async () => {
      const providers = testProviders();
      const logged = exploredApp(database.orm, { path: '/debug/' }, {}, providers);
      await logged.listen({ host: '127.0.0.1' });
      await logged.close();
      const line = providers.logger.entries.find(({ message }) => message.startsWith('listening on'))?.message;
      expect(line).to.match(/, explorer \/debug\/$/);
    });

    it('gives the description and the AsyncAPI document', async () => {
      expect(await (await get('/explorer/description.json')).json()).to.deep.equal(
        JSON.parse(JSON.stringify(app.describe())),
      );
      const document = (await (await get('/explorer/asyncapi.json')).json()) as Record<string, unknown>;
      expect(document).to.deep.include({
        asyncapi: '3.0.0',
        info: { title: 'Signalbox application', version: '0.0.0' },
        servers: { server: { host, protocol: 'ws' } },
      });
    });
  });

  describe('and who sees it', () => {
    const asked = async (request: Partial<PlainRequest>, of = app): Promise<number | undefined> => {
      const answer = new Answer();
      const isOurs = of.answer({ url: '/explorer/', method: 'GET', headers: {}, socket: {}, ...request }, answer);
      return isOurs ? await answer.status : undefined;
    };
    const local = { headers: { host: 'localhost:8000' }, socket: { remoteAddress: '127.0.0.1' } };

    it('is a browser on this machine, by a name of this machine', async () => {
      expect(await asked(local)).to.equal(200);
      expect(await asked({ ...local, headers: { host: '[::1]:8000' }, socket: { remoteAddress: '::1' } })).to.equal(
        200,
      );
      expect(await asked({ ...local, socket: { remoteAddress: '::ffff:127.0.0.1' } })).to.equal(200);
      expect(await asked({ ...local, socket: { remoteAddress: '192.0.2.7' } })).to.equal(403);
      expect(await asked({ ...local, headers: { host: 'rebound.example' } })).to.equal(403);
      expect(await asked({ ...local, headers: { host: 'localhost', 'x-forwarded-for': '192.0.2.7' } })).to.equal(403);
    });

    it('is whom the application allows', async () => {
      const open = exploredApp(database.orm, { allow: async ({ headers }) => headers['x-team'] === 'us' });
      expect(await asked({ headers: { 'x-team': 'us' }, socket: { remoteAddress: '192.0.2.7' } }, open)).to.equal(200);
      expect(await asked(local, open)).to.equal(403);
      await open.close();
    });

    it('is no client in production, unless the application asks for it and says who', async () => {
      const production = { development: false };
      const hidden = exploredApp(database.orm, {}, production);
      expect(await asked(local, hidden)).to.equal(undefined);
      await hidden.close();
      expect(() => exploredApp(database.orm, { production: true }, production))
        .to.throw(ConfigurationError)
        .with.property(
          'message',
          'explorer.production: is true without allow: behind a proxy, every client would seem to be on this machine. Say who may see it: explorer({ production: true, allow: (request) => … }).',
        );
      const shown = exploredApp(database.orm, { production: true, allow: () => true }, production);
      expect(await asked({ socket: { remoteAddress: '192.0.2.7' } }, shown)).to.equal(200);
      await shown.close();
    });

    it('is at another path where the application says so', async () => {
      const moved = exploredApp(database.orm, { path: '/debug/' });
      expect(await asked({ ...local, url: '/debug/' }, moved)).to.equal(200);
      expect(await asked(local, moved)).to.equal(undefined);
      await moved.close();
      expect(() => exploredApp(database.orm, { path: 'debug' })).to.throw(
        'explorer.path: is "debug". Begin and end it with a slash: explorer({ path: \'/explorer/\' }).',
      );
    });
  });

  describe('and what it is told', () => {
    let trace: Trace;

    beforeEach(async () => {
      const em = database.orm.em.fork();
      em.create(Room, { name: 'red' });
      em.create(Room, { name: 'blue' });
      await em.flush();
      await app.idle();
      trace = await Trace.open(`http://${host}/explorer/trace?key=${key}`);
    });
    afterEach(() => trace.close());

    const open = (query = ''): Promise<SocketClient> =>
      SocketClient.open(`ws://${host}/ws/?${query}signalbox-explorer=${key}`);

    async function ask(client: SocketClient, stream: string, payload: object): Promise<Frame> {
      client.send({ stream, payload });
      return (await client.receive()) as Frame;
    }

    it('is the state of the connection, without secrets, and without what marks it', async () => {
      await using client = await open('as=ann&');
      expect(await trace.next('opened')).to.deep.equal({});
      await ask(client, 'messages', { action: 'follow', request_id: 1, room: 2 });
      const state = (await (await get(`/explorer/connection.json?key=${key}`)).json()) as Record<string, unknown>;
      expect(state).to.deep.include({
        path: '/ws/',
        query: { as: 'ann' },
        user: { id: 7, name: 'ann', password: '[redacted]' },
        refused: [],
        streams: {
          messages: {
            consumer: 'MessageConsumer',
            groups: [],
            subscriptions: [
              {
                requestId: 1,
                observer: 'MessageConsumer.onMessage',
                member: 'onMessage',
                groups: ['room-2'],
                requests: [{ action: 'follow', kwargs: { room: 2 } }],
              },
            ],
          },
        },
      });
      expect(state['headers']).to.include({ 'sec-websocket-key': '[redacted]' });
    });

    it('is why a handshake was refused', async () => {
      const refusal = await refusalOf(`ws://${host}/ws/?as=nobody&signalbox-explorer=${key}`);
      expect(refusal.status).to.equal(401);
      expect(await trace.next('refused')).to.deep.equal({
        status: 401,
        errors: ['Authentication credentials were not provided.'],
        code: 'not_authenticated',
      });
    });

    it('is every change with its groups before and after, and that it was sent', async () => {
      await using client = await open();
      await ask(client, 'messages', { action: 'follow', request_id: 1, room: 1 });
      await ask(client, 'messages', { action: 'say', request_id: 2, room: 1, text: 'hi' });
      const published = await trace.next('published');
      expect(published).to.deep.include({
        observer: 'MessageConsumer.onMessage',
        consumer: 'MessageConsumer',
        member: 'onMessage',
        subject: 'Message',
        pk: 1,
        change: 'create',
        before: [],
        after: ['room-1'],
      });
      expect(await trace.next('decided')).to.deep.equal({
        stream: 'messages',
        observer: 'MessageConsumer.onMessage',
        commit: published['commit'],
        requestId: 1,
        pk: 1,
        action: 'create',
        outcome: 'sent',
        groups: ['room-1'],
        asked: [
          { permission: 'IsKnown', answer: null },
          { permission: 'NoWhispers', answer: true },
        ],
      });
    });

    it('is which permission refused an event', async () => {
      await using client = await open();
      await ask(client, 'messages', { action: 'follow', request_id: 1, room: 1 });
      await ask(client, 'messages', { action: 'say', request_id: 2, room: 1, text: 'psst' });
      expect(await trace.next('decided')).to.deep.include({
        outcome: 'refused',
        asked: [
          { permission: 'IsKnown', answer: null },
          { permission: 'NoWhispers', answer: false },
        ],
      });
    });

    it('is that the method of an observer sent nothing', async () => {
      await using client = await open();
      await ask(client, 'messages', { action: 'follow', request_id: 1, room: 1 });
      const em = database.orm.em.fork();
      em.create(Message, { room: em.getReference(Room, 1), text: '' });
      await em.flush();
      expect(await trace.next('decided')).to.deep.include({ outcome: 'kept', requestId: 1 });
    });

    it('is that a row went out of sight, as which it is told, and that it stays there', async () => {
      await using client = await open();
      await ask(client, 'rooms', { action: 'subscribe_instance', request_id: 1, pk: 1 });
      const em = database.orm.em.fork();
      const room = await em.findOneOrFail(Room, 1);
      room.archived = true;
      await em.flush();
      expect(await trace.next('decided')).to.deep.include({ action: 'update', outcome: 'sent', sentAs: 'delete' });
      room.name = 'crimson';
      await em.flush();
      expect(await trace.next('decided')).to.deep.include({ action: 'update', outcome: 'hidden' });
    });

    it('is a change that concerns no subscription, with its groups', async () => {
      await using client = await open();
      await ask(client, 'messages', { action: 'follow', request_id: 1, room: 2 });
      await ask(client, 'messages', { action: 'say', request_id: 2, room: 1, text: 'hi' });
      expect(await trace.next('published')).to.deep.include({ before: [], after: ['room-1'] });
    });

    it('is nothing of connections that it did not open', async () => {
      await using other = await SocketClient.open(`ws://${host}/ws/?signalbox-explorer=${'f'.repeat(32)}`);
      await ask(other, 'messages', { action: 'follow', request_id: 1, room: 1 });
      await ask(other, 'messages', { action: 'say', request_id: 2, room: 1, text: 'hi' });
      await other.receive();
      await trace.next('published');
      expect(trace.names).to.deep.equal(['published']);
      expect(await (await get(`/explorer/connection.json?key=${'f'.repeat(32)}`)).json()).to.equal(null);
    });

    it('ends with the application', async () => {
      await app.close();
      await within(trace.ended, 'The end of the trace');
    });

    it('refuses a key that could be guessed', async () => {
      expect((await get('/explorer/trace?key=1')).status).to.equal(400);
    });
  });
});

/** What the explorer answers, as far as it is looked at. */
class Answer implements PlainResponse {
  readonly writableLength = 0;
  readonly #status = Promise.withResolvers<number>();

  get status(): Promise<number> {
    return within(this.#status.promise, 'The answer');
  }

  writeHead(status: number): void {
    this.#status.resolve(status);
  }

  write(): void {}
  end(): void {}
  on(): void {}
}

/** A page's trace: server-sent events by their names. */
class Trace {
  readonly names: string[] = [];
  readonly ended: Promise<void>;
  readonly #inboxes = new Map<string, Inbox<Record<string, unknown>>>();
  readonly #abort: AbortController;

  private constructor(response: Response, abort: AbortController) {
    this.#abort = abort;
    this.ended = this.#read(response).catch(() => {});
  }

  static async open(url: string): Promise<Trace> {
    const abort = new AbortController();
    return new Trace(await fetch(url, { signal: abort.signal }), abort);
  }

  next(name: string): Promise<Record<string, unknown>> {
    return this.#inbox(name).take(4_000);
  }

  close(): void {
    this.#abort.abort();
  }

  async #read({ body }: Response): Promise<void> {
    let text = '';
    for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      const events = text.split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) this.#hear(event);
    }
  }

  #hear(event: string): void {
    const [, name, data] = /^event: (.+)\ndata: (.+)$/.exec(event) ?? [];
    if (name === undefined || data === undefined) return;
    this.names.push(name);
    this.#inbox(name).put(JSON.parse(data) as Record<string, unknown>);
  }

  #inbox(name: string): Inbox<Record<string, unknown>> {
    const inbox = this.#inboxes.get(name) ?? new Inbox<Record<string, unknown>>();
    this.#inboxes.set(name, inbox);
    return inbox;
  }
}

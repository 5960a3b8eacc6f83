import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { expect } from 'chai';
import { createElement, type ReactNode, StrictMode } from 'react';
import type { App } from 'signalbox';
import { type Client, type ClientOptions, createClient, live, type SignalboxError } from 'signalbox/client';
import { useLive, useStatus, useSubscription } from 'signalbox/react';
import { Inbox } from '#signalbox/testing/inbox.js';
import { type ChatApi, createChat } from '../client/chat.js';
import { useDatabase } from '../support/database.js';
import { patience } from '../support/deadline.js';
import { Message, Room } from '../support/entities.js';
import { usePage } from '../support/page.js';
import { lastingPort } from '../support/ports.js';
import { useMessages } from './message-queries.js';

interface SentFrame {
  readonly stream: string;
  readonly payload: {
    readonly action: string;
    readonly request_id: number;
    readonly room?: number;
    readonly target?: number;
  };
}

describe('The hooks of React, in StrictMode against a served application', () => {
  const database = useDatabase('react');
  const page = usePage();
  let app: App;
  let port: number;
  let chat: Client<ChatApi>;
  let sent: SentFrame[];

  beforeEach(async () => {
    app = createChat(database.orm);
    port = await lastingPort();
    await app.listen({ port, host: '127.0.0.1' });
    sent = [];
    chat = connect();
    const em = database.orm.em.fork();
    for (const name of ['red', 'blue']) em.create(Room, { name });
    await em.flush();
    await post(1, 'hi');
  });
  afterEach(async () => {
    page.unmount();
    chat.$close();
    await app.close();
  });

  function connect(options: ClientOptions = {}): Client<ChatApi> {
    const url = `ws://127.0.0.1:${port}/ws/chat/`;
    return createClient<ChatApi>(url, { firstDelay: 1, WebSocket: SpiedWebSocket, ...options });
  }

  class SpiedWebSocket extends WebSocket {
    override send(text: string): void {
      sent.push(JSON.parse(text));
      super.send(text);
    }
  }

  const post = async (room: number, text: string): Promise<void> => {
    const em = database.orm.em.fork();
    em.create(Message, { room, text });
    await em.flush();
  };

  /** The rooms whose subscriptions were asked for and not ended. */
  const followed = (): (number | undefined)[] => {
    const open = new Map<number, number | undefined>();
    for (const { payload } of sent) {
      if (payload.action === 'subscribe_to_room') open.set(payload.request_id, payload.room);
      if (payload.target !== undefined) open.delete(payload.target);
    }
    return [...open.values()];
  };

  /** The reply to a request comes after what was said before it. */
  const allSaid = async (): Promise<void> => void (await chat.rooms.list());

  const show = (component: () => ReactNode): void =>
    page.show(createElement(StrictMode, null, createElement(component)));

  describe('useStatus', () => {
    it('shows how the connection is', async () => {
      show(() => useStatus(chat));
      await page.shows('open');
      chat.$close();
      await page.shows('closed');
    });
  });

  describe('useLive', () => {
    const openRoom = (room: number) =>
      live(chat.rooms.$on('onMessage', 'subscribeToRoom', { room }), { list: () => chat.rooms.listMessages({ room }) });

    function Messages({ room }: { readonly room: number }): ReactNode {
      const { rows, status } = useLive(() => openRoom(room), [room]);
      return `${room} ${status}: ${rows.map(({ text }) => text).join()}`;
    }
    const showRoom = (room: number): void =>
      page.show(createElement(StrictMode, null, createElement(Messages, { room })));

    it('shows the rows, and what happens to them', async () => {
      showRoom(1);
      await page.shows('1 loading: ');
      await page.shows('1 ready: hi');
      await post(1, 'there');
      await page.shows('1 ready: hi,there');
    });

    it('follows once, although StrictMode mounts twice', async () => {
      showRoom(1);
      await page.shows('1 ready: hi');
      await allSaid();
      expect(followed()).to.deep.equal([1]);
    });

    it('begins anew with other kwargs, and never shows the rows of the ones before', async () => {
      const seen: string[] = [];
      showRoom(1);
      await page.shows('1 ready: hi');
      function Watched({ room }: { readonly room: number }): ReactNode {
        const { rows, status } = useLive(() => openRoom(room), [room]);
        seen.push(`${room}: ${rows.map(({ text }) => text).join()}`);
        return `${room} ${status}`;
      }
      const showWatched = (room: number): void =>
        page.show(createElement(StrictMode, null, createElement(Watched, { room })));
      showWatched(1);
      await page.shows('1 ready');
      showWatched(2);
      await page.shows('2 ready');
      expect(seen).to.include('1: hi');
      expect(seen).to.not.include('2: hi');
      await allSaid();
      expect(followed()).to.deep.equal([2]);
      await post(1, 'unheard');
      await post(2, 'heard');
      await page.shows('2 ready');
    });

    it('is silent after it was unmounted while the connection was being made', async () => {
      chat.$close();
      chat = connect({ lazy: true });
      showRoom(1);
      await page.shows('1 loading: ');
      page.unmount();
      expect(chat.$status).to.equal('connecting');
      expect(page.text).to.equal('');
      await allSaid();
      expect(followed()).to.deep.equal([]);
    });

    it('shows why it failed', async () => {
      showRoom(-1);
      await page.shows('-1 failed: ');
    });

    it('lists again on request, and after a reconnection', async () => {
      let refetch = (): void => {};
      let listed = 0;
      show(() => {
        const { rows, status, ...others } = useLive(
          () =>
            live(chat.rooms.$on('onMessage', 'subscribeToRoom', { room: 1 }), {
              list: async () => [{ id: 0, text: String(++listed) }, ...(await chat.rooms.listMessages({ room: 1 }))],
            }),
          [],
        );
        refetch = others.refetch;
        return `${status}: ${rows.map(({ text }) => text).join()}`;
      });
      await page.shows('ready: 1,hi');
      refetch();
      await page.shows('ready: 2,hi');
      await app.close();
      await post(1, 'missed');
      await page.shows('stale: 2,hi');
      app = createChat(database.orm);
      await app.listen({ port, host: '127.0.0.1' });
      await page.shows('ready: 3,hi,missed');
    });
  });

  describe('useSubscription', () => {
    it('calls the listener of the latest rendering, without subscribing anew', async () => {
      const heard = new Inbox<string>();
      function Listener({ name }: { readonly name: string }): ReactNode {
        const { state } = useSubscription(() => chat.rooms.$on('onMessage', 'subscribeToRoom', { room: 1 }), [], {
          onEvent: (event) => event.action === 'create' && heard.put(`${name}: ${event.data.text}`),
        });
        return `${name} ${state}`;
      }
      const showListener = (name: string): void =>
        page.show(createElement(StrictMode, null, createElement(Listener, { name })));
      showListener('ann');
      await page.shows('ann live');
      await post(1, 'one');
      expect(await heard.take(patience)).to.equal('ann: one');
      showListener('bob');
      await page.shows('bob live');
      await post(1, 'two');
      expect(await heard.take(patience)).to.equal('bob: two');
      expect(followed()).to.deep.equal([1]);
      page.unmount();
      await post(1, 'three');
      await allSaid();
      expect(heard.size).to.equal(0);
      expect(followed()).to.deep.equal([]);
    });

    it('shows why it was refused', async () => {
      show(() => {
        const { state, error } = useSubscription(
          () => chat.rooms.$on('onMessage', 'subscribeToRoom', { room: -1 }),
          [],
        );
        return `${state} ${error?.status} ${error?.code}`;
      });
      await page.shows('refused 403 permission_denied');
    });

    it('says when events may have been missed', async () => {
      const resynced = new Inbox<unknown>();
      show(() => {
        const open = () => chat.rooms.$on('onMessage', 'subscribeToRoom', { room: 1 });
        return useSubscription(open, [], { onResync: (reply) => resynced.put(reply) }).state;
      });
      await page.shows('live');
      chat.$reconnect();
      expect(await resynced.take(patience)).to.deep.equal({ room: 1 });
      expect(resynced.size).to.equal(0);
    });
  });

  describe('with TanStack Query', () => {
    it('keeps the data of a query true by the events', async () => {
      const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
      function Messages(): ReactNode {
        const { data, error } = useMessages(chat, 1);
        if (error) return `failed: ${(error as SignalboxError).code}`;
        return data ? data.map(({ text }) => text).join() : 'loading';
      }
      const element = createElement(QueryClientProvider, { client: queries }, createElement(Messages));
      page.show(createElement(StrictMode, null, element));
      await page.shows('hi');
      await post(1, 'there');
      await page.shows('hi,there');
      expect(followed()).to.deep.equal([1]);
      await app.close();
      await post(1, 'missed');
      app = createChat(database.orm);
      await app.listen({ port, host: '127.0.0.1' });
      await page.shows('hi,there,missed');
      page.show(null);
      await page.shows('');
      await post(1, 'away');
      page.show(createElement(StrictMode, null, element));
      await page.shows('hi,there,missed,away');
      queries.clear();
    });
  });
});

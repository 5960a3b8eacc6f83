// The hooks pass the types of the API on.
import { createClient, live } from 'signalbox/client';
import { useLive, useStatus, useSubscription } from 'signalbox/react';
import type { Api } from '../chat.js';
import { same } from '../support.js';

const client = createClient<Api>('wss://example.org/ws/chat/');

export function Component() {
  same<ReturnType<typeof useStatus>, (typeof client)['$status']>();
  // @ts-expect-error a stream has no status
  useStatus(client.rooms);

  const open = (room: number) => live(client.rooms.$onInstance({ pk: room }), { list: () => client.rooms.list() });
  const { rows, status } = useLive(() => open(1), [1]);
  rows[0]?.visits satisfies string | undefined;
  status satisfies 'loading' | 'ready' | 'stale' | 'failed';
  // @ts-expect-error a row has no such field
  rows[0]?.text;
  // @ts-expect-error what it depends on has to be said
  useLive(() => open(1));

  useSubscription(() => client.rooms.$on('onMessage', 'subscribeToRoom', { room: 1 }), [], {
    onEvent: (event) => {
      if (event.action !== 'delete') event.data.text satisfies string;
      // @ts-expect-error a delete tells the key only
      else event.data.text;
    },
    // @ts-expect-error the action replies nothing
    onResync: (reply) => reply.text,
  });
  // @ts-expect-error no such option
  useSubscription(() => client.rooms.$onInstance({ pk: 1 }), [], { onData: () => {} });
}

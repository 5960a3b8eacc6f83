import { type QueryClient, queryOptions, useQuery, useQueryClient } from '@tanstack/react-query';
import type { Client } from 'signalbox/client';
import { useSubscription } from 'signalbox/react';
import type { ChatApi } from '../client/chat.js';

interface Message {
  readonly id: number;
  readonly text: string;
}

type MessageEvent =
  | { readonly action: 'create' | 'update'; readonly data: Message }
  | { readonly action: 'delete'; readonly data: { readonly pk: number } };

/** What is asked, under which key: for useQuery, prefetchQuery, ensureQueryData, setQueryData. */
export function messagesQuery(client: Client<ChatApi>, room: number) {
  return queryOptions({
    queryKey: ['rooms', room, 'messages'],
    queryFn: ({ signal }) => client.rooms.listMessages({ room }, { signal }),
  });
}

/** The messages of a room, kept true by its events. */
export function useMessages(client: Client<ChatApi>, room: number) {
  const queries = useQueryClient();
  const query = messagesQuery(client, room);
  const { state } = useSubscription(() => client.rooms.$on('onMessage', 'subscribeToRoom', { room }), [client, room], {
    onEvent: (event) => apply(queries, query, event),
  });
  return useQuery({ ...query, enabled: state === 'live', refetchOnWindowFocus: false });
}

/** A list that is on its way may be older than the event: then it is asked for again. */
function apply(queries: QueryClient, query: ReturnType<typeof messagesQuery>, event: MessageEvent): void {
  if (queries.isFetching({ queryKey: query.queryKey }) > 0) {
    void queries.invalidateQueries({ queryKey: query.queryKey });
  } else {
    queries.setQueryData(query.queryKey, (messages) => messages && changed(messages, event));
  }
}

function changed(messages: readonly Message[], event: MessageEvent): Message[] {
  const pk = event.action === 'delete' ? event.data.pk : event.data.id;
  if (event.action === 'delete') return messages.filter(({ id }) => id !== pk);
  return messages.some(({ id }) => id === pk)
    ? messages.map((message) => (message.id === pk ? event.data : message))
    : [...messages, event.data];
}

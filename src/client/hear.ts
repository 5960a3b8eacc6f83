import type { ReplyFrame } from '../wire/messages.js';
import type { Client, ConsumerView } from './client-types.js';

/** The name of a stream; null on a route without streams. */
type StreamOf<Api> = Api extends ConsumerView ? null : keyof Api;

type ViewOf<Api, Stream> = Stream extends keyof Api ? Api[Stream] : Api;

/** The subscriptions that a consumer makes by itself, by request id. */
type SubscriptionsOf<Api, Stream> =
  ViewOf<Api, Stream> extends { readonly subscriptions: infer Subscriptions } ? Subscriptions : never;

type EventOf<Subscription> = Subscription extends { readonly event: infer Event } ? Event : never;

/**
 * Listens to a subscription that a consumer makes by itself, under a request id of its choice, on every connection of the client. The
 * client sends nothing for it, and cannot cancel it.
 *
 * ```ts
 * const stop = hear(client, 'rooms', 'lobby', (event) => …);
 * ```
 *
 * @param stream null on a route without streams
 * @returns a function that removes the listener
 */
export function hear<
  Api,
  const Stream extends StreamOf<Api>,
  const Id extends keyof SubscriptionsOf<Api, Stream> & string,
>(
  client: Client<Api>,
  stream: Stream,
  requestId: Id,
  listener: (event: EventOf<SubscriptionsOf<Api, Stream>[Id]>) => void,
): () => void {
  return client.$onFrame((payload, from) => {
    const { request_id: id, response_status: status, action, data } = (payload ?? {}) as ReplyFrame;
    if (from === stream && id === requestId && status < 300) listener({ action, data } as never);
  });
}

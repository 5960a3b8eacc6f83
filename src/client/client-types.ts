import type { Payload } from './exchange.js';
import type { ActionCall, RequestOptions } from './request.js';
import type { ConnectionStatus, StatusListener } from './status.js';
import type { Subscription } from './subscription.js';

/** The part of `ConsumerApi` that a client needs. */
export interface ConsumerView {
  /** Actions by the names of their methods. */
  readonly actions: { readonly [name: string]: ActionView };
  /** Observers by the names of their methods. */
  readonly observers: { readonly [name: string]: ObserverView };
  /** Subscriptions that the consumer makes by itself, by their request ids. */
  readonly subscriptions?: { readonly [requestId: string]: ObserverView };
}

/** The part of `ActionApi` that a client needs. */
export interface ActionView {
  /** The kwargs that a client sends. */
  readonly kwargs: unknown;
  /** The `data` of the final reply. */
  readonly reply: unknown;
  /** The `data` of each part that a generator sends before its reply; never without parts. */
  readonly part: unknown;
}

/** The part of `ObserverApi` that a client needs. */
export interface ObserverView {
  /** `{ action, data }` of each of its events. */
  readonly event: unknown;
}

/** The kwargs of an action; an empty object if it takes none. */
type KwargsOf<Action extends ActionView> = [keyof Action['kwargs']] extends [never]
  ? Record<string, never>
  : Action['kwargs'];

type Parameters<Kwargs> =
  Record<never, never> extends Kwargs
    ? [kwargs?: Kwargs, options?: RequestOptions]
    : [kwargs: Kwargs, options?: RequestOptions];

type ActionCaller<Action extends ActionView> = (
  ...parameters: Parameters<KwargsOf<Action>>
) => ActionCall<Action['reply'], Action['part']>;

/** The methods of a client for one consumer: its actions and its events. */
export type ConsumerClient<View extends ConsumerView> = {
  readonly [Name in keyof View['actions']]: ActionCaller<View['actions'][Name]>;
} & EventsClient<View>;

interface Observing<View extends ConsumerView> {
  /**
   * Subscribes with an action of the consumer to one of its observers. The observer has to be named, because types cannot tell which one an
   * action subscribes to.
   *
   * ```ts
   * const messages = client.rooms.$on('onMessage', 'subscribeToRoom', { room: 1 }, (event) => …);
   * ```
   *
   * @param listener called with each event. Without a listener, events wait until the subscription is iterated over or gets one
   */
  $on<Observer extends keyof View['observers'], Name extends keyof View['actions']>(
    observer: Observer,
    action: Name,
    kwargs: KwargsOf<View['actions'][Name]>,
    listener?: (event: View['observers'][Observer]['event']) => void,
  ): Subscription<View['observers'][Observer]['event'], View['actions'][Name]['reply']>;
}

interface ObservingInstance<Kwargs, Event> {
  /** Subscribes to one row: `subscribe_instance`. */
  $onInstance(kwargs: Kwargs, listener?: (event: Event) => void): Subscription<Event, null>;
}

type EventsClient<View extends ConsumerView> = Observing<View> & InstanceClient<View>;

type InstanceClient<View extends ConsumerView> = View extends {
  readonly actions: { readonly subscribeInstance: { readonly kwargs: infer Kwargs } };
  readonly observers: { readonly onInstance: { readonly event: infer Event } };
}
  ? ObservingInstance<Kwargs, Event>
  : unknown;

/** Called for frames that belong to no request and no subscription: frames that consumers send on their own. */
export type FrameListener = (payload: unknown, stream: string | null) => void;

/** The client's own members. The application's names never begin with `$`. */
export interface ClientControls {
  /** The current status of the connection. */
  readonly $status: ConnectionStatus;
  /** @returns a function that removes the listener */
  $onStatus(listener: StatusListener): () => void;
  /**
   * Sends any request, without types: `client.$request('rooms', { action: 'create_message', room: 1, text: 'hi' })`.
   *
   * @param stream null on a route without streams
   * @param payload the kwargs, and `action` by its name on the wire
   */
  $request<Reply = unknown, Part = unknown>(
    stream: string | null,
    payload: Payload,
    options?: RequestOptions,
  ): ActionCall<Reply, Part>;
  /** Subscribes with any request, without types. */
  $subscribe<Event = unknown, Reply = unknown>(
    stream: string | null,
    payload: Payload,
    listener?: (event: Event) => void,
  ): Subscription<Event, Reply>;
  /**
   * Listens to frames that belong to no request and no subscription of the client; binary frames come as an `ArrayBuffer`. The events of
   * what a consumer subscribed to by itself are among them; `hear` picks those out.
   *
   * @returns a function that removes the listener
   */
  $onFrame(listener: FrameListener): () => void;
  /**
   * Sends a binary frame unchanged; `binaryFrames` adds the name of its stream.
   *
   * @returns whether the frame was sent; it is not kept for the next connection
   */
  $sendBinary(frame: Uint8Array): boolean;
  /** Reconnects at once with a fresh token, whatever the status; does nothing after `$close()`. Subscriptions go on. */
  $reconnect(): void;
  /** Closes the connection for good, and ends everything that waits. */
  $close(): void;
}

/** The client of a demultiplexer's streams, or of a route's one consumer. */
export type Client<Api> = ClientControls & (Api extends ConsumerView ? ConsumerClient<Api> : StreamClients<Api>);

type StreamClients<Api> = {
  readonly [Stream in keyof Api]: Api[Stream] extends ConsumerView ? ConsumerClient<Api[Stream]> : never;
};

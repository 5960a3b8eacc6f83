import type { Payload } from './exchange.js';
import type { ActionCall, RequestOptions } from './request.js';
import type { ConnectionStatus, StatusListener } from './status.js';
import type { Subscription } from './subscription.js';

/** As much of `ConsumerApi` as a client needs. */
export interface ConsumerView {
  /** Keyed by the name of the method. */
  readonly actions: { readonly [name: string]: ActionView };
  /** Keyed by the name of the method. */
  readonly observers: { readonly [name: string]: ObserverView };
  /** By request id. */
  readonly subscriptions?: { readonly [requestId: string]: ObserverView };
}

/** As much of `ActionApi` as a client needs. */
export interface ActionView {
  readonly kwargs: unknown;
  readonly reply: unknown;
  readonly part: unknown;
}

/** As much of `ObserverApi` as a client needs. */
export interface ObserverView {
  readonly event: unknown;
}

/** Without kwargs, an object with none. */
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

/** The actions of one consumer, and its events. */
export type ConsumerClient<View extends ConsumerView> = {
  readonly [Name in keyof View['actions']]: ActionCaller<View['actions'][Name]>;
} & EventsClient<View>;

interface Observing<View extends ConsumerView> {
  /**
   * Subscribes by an action of the consumer to an observer of it. Types cannot tell which observer an action subscribes to,
   * so it is named.
   *
   * ```ts
   * const messages = client.rooms.$on('onMessage', 'subscribeToRoom', { room: 1 }, (event) => …);
   * ```
   *
   * @param listener without one, events wait until the subscription is iterated over, or listened to
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

/** Called for frames that belong to no request and no subscription: what consumers send of their own making. */
export type FrameListener = (payload: unknown, stream: string | null) => void;

/** What is the client's own; the names of the application never begin with `$`. */
export interface ClientControls {
  /** How the connection is now. */
  readonly $status: ConnectionStatus;
  /** @returns ends the listening */
  $onStatus(listener: StatusListener): () => void;
  /**
   * Any request, without types: `client.$request('rooms', { action: 'create_message', room: 1, text: 'hi' })`.
   *
   * @param stream null on a route without streams
   * @param payload its action by the name on the wire
   */
  $request<Reply = unknown, Part = unknown>(
    stream: string | null,
    payload: Payload,
    options?: RequestOptions,
  ): ActionCall<Reply, Part>;
  /** Any subscription, without types. */
  $subscribe<Event = unknown, Reply = unknown>(
    stream: string | null,
    payload: Payload,
    listener?: (event: Event) => void,
  ): Subscription<Event, Reply>;
  /**
   * Hears frames that belong to no request and no subscription of the client; binary ones as an `ArrayBuffer`. The events of what a consumer subscribed to by itself are
   * among them: `hear` tells them apart.
   *
   * @returns ends the listening
   */
  $onFrame(listener: FrameListener): () => void;
  /**
   * Sends a binary frame as it is; `binaryFrames` names its stream. @returns whether it was sent: it is not kept for the next connection
   */
  $sendBinary(frame: Uint8Array): boolean;
  /** A new connection at once, whatever the status, with a fresh token; not after `$close()`. Subscriptions go on. */
  $reconnect(): void;
  /** Ends the connection and everything that waits, for good. */
  $close(): void;
}

/** A client of the streams of a demultiplexer, or of the one consumer of a route. */
export type Client<Api> = ClientControls & (Api extends ConsumerView ? ConsumerClient<Api> : StreamClients<Api>);

type StreamClients<Api> = {
  readonly [Stream in keyof Api]: Api[Stream] extends ConsumerView ? ConsumerClient<Api[Stream]> : never;
};

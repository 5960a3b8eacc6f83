import { Backoff } from './backoff.js';
import { type ErrorDetail, RequestError } from './request-error.js';

export type ConnectionState = 'connecting' | 'open' | 'lost';

/** The five keys of a reply and of an event; `create`, `update` and `delete` with a known subscription are events. */
interface Frame {
  readonly action: string;
  readonly request_id: number;
  readonly response_status: number;
  readonly errors: readonly ErrorDetail[];
  readonly data: unknown;
}

interface Request {
  readonly action: string;
  readonly kwargs: object;
  settle(frame: Frame): void;
  fail(error: RequestError): void;
}

export interface SubscriptionListener<Reply, Event> {
  /** Told after every subscribing, the one after a reconnection included. */
  subscribed?(reply: Reply): void;
  event(data: Event, action: string): void;
  refused?(error: RequestError): void;
}

interface Subscription {
  readonly action: string;
  readonly kwargs: object;
  readonly listener: SubscriptionListener<unknown, unknown>;
}

const REQUEST_LIMIT = 10_000;

/** One stream of the server over one WebSocket: requests, subscriptions, and a connection that comes back. */
export class Socket {
  private webSocket: WebSocket | undefined;
  private lastRequestId = 0;
  private readonly requests = new Map<number, Request>();
  private readonly subscriptions = new Map<number, Subscription>();
  private readonly backoff = new Backoff(() => this.connect());

  constructor(
    private readonly path: string,
    private readonly stream: string,
    private readonly onState: (state: ConnectionState) => void,
  ) {
    addEventListener('online', () => this.retryNow());
    addEventListener('offline', () => this.webSocket?.close());
    document.addEventListener('visibilitychange', () => document.hidden || this.retryNow());
    this.connect();
  }

  request<Reply>(action: string, kwargs: object = {}): Promise<Reply> {
    if (this.webSocket?.readyState !== WebSocket.OPEN) {
      return Promise.reject(new RequestError(0, ['There is no connection. Please try again in a moment.']));
    }
    return this.sendRequest(++this.lastRequestId, action, kwargs) as Promise<Reply>;
  }

  /** Asks now, or as soon as there is a connection, and again after every reconnection. */
  subscribe<Reply, Event>(action: string, kwargs: object, listener: SubscriptionListener<Reply, Event>): void {
    const id = ++this.lastRequestId;
    const subscription = { action, kwargs, listener: listener as SubscriptionListener<unknown, unknown> };
    this.subscriptions.set(id, subscription);
    if (this.webSocket?.readyState === WebSocket.OPEN) this.sendSubscription(id, subscription);
  }

  retryNow(): void {
    if (this.backoff.isWaiting) this.backoff.now();
  }

  private connect(): void {
    this.onState('connecting');
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const webSocket = new WebSocket(`${scheme}//${location.host}${this.path}`);
    this.webSocket = webSocket;
    webSocket.addEventListener('open', () => this.onOpen());
    webSocket.addEventListener('message', ({ data }) => this.onMessage(String(data)));
    webSocket.addEventListener('close', () => this.onClose());
  }

  private onOpen(): void {
    this.backoff.reset();
    this.onState('open');
    for (const [id, subscription] of this.subscriptions) this.sendSubscription(id, subscription);
  }

  private onClose(): void {
    const lost = new RequestError(0, ['The connection was lost. Please try again in a moment.']);
    for (const request of this.requests.values()) request.fail(lost);
    this.requests.clear();
    this.onState('lost');
    this.backoff.later();
  }

  private onMessage(text: string): void {
    const { payload } = JSON.parse(text) as { payload: Frame };
    const request = this.requests.get(payload.request_id);
    if (request?.action === payload.action) {
      this.requests.delete(payload.request_id);
      request.settle(payload);
      return;
    }
    this.subscriptions.get(payload.request_id)?.listener.event(payload.data, payload.action);
  }

  private sendSubscription(id: number, { action, kwargs, listener }: Subscription): void {
    this.sendRequest(id, action, kwargs).then(
      (reply) => listener.subscribed?.(reply),
      (error: RequestError) => {
        if (error.status === 0) return;
        this.subscriptions.delete(id);
        listener.refused?.(error);
      },
    );
  }

  private sendRequest(id: number, action: string, kwargs: object): Promise<unknown> {
    return new Promise((resolve, reject) => {
      // A connection that does not answer is dead, whatever the browser still believes of it.
      const limit = setTimeout(() => this.webSocket?.close(), REQUEST_LIMIT);
      const settle = ({ response_status: status, errors, data }: Frame) => {
        clearTimeout(limit);
        if (status < 400) resolve(data);
        else reject(new RequestError(status, errors));
      };
      const fail = (error: RequestError) => {
        clearTimeout(limit);
        reject(error);
      };
      this.requests.set(id, { action, kwargs, settle, fail });
      const payload = { ...kwargs, action, request_id: id };
      this.webSocket?.send(JSON.stringify({ stream: this.stream, payload }));
    });
  }
}

import type { DeliveryDecision, PublishedEvent } from '../../inspection.js';
import type { ConnectionState, SubscriptionState } from '../../server/app-explorer.js';
import type { RouteDescription } from './api.js';

export type RequestId = string | number | null;

export type EntryKind = 'sent' | 'reply' | 'part' | 'event' | 'error' | 'frame' | 'withheld' | 'note';

/** One line of the time line. */
export interface Entry {
  readonly number: number;
  readonly at: Date;
  readonly kind: EntryKind;
  readonly stream: string | null;
  readonly action: string | null;
  readonly requestId: RequestId;
  readonly status: number | null;
  /** Milliseconds from the request to its reply. */
  readonly took: number | null;
  /** The frame as it was sent or received; for a note, a sentence. */
  readonly text: string;
  /** The frame without its envelope. */
  readonly payload: unknown;
}

/** A frame that waits for its reply. */
interface Pending {
  readonly action: string;
  readonly sentAt: number;
}

export interface LiveSubscription {
  readonly stream: string | null;
  readonly requestId: string | number;
  /** The action that subscribed. */
  readonly action: string;
  readonly kwargs: object;
  events: number;
  state: 'live' | 'lost' | 'revoked';
}

/** A change that the server reported, with what became of it on this connection. */
export interface SeenChange extends PublishedEvent {
  readonly number: number;
  readonly at: Date;
  readonly decisions: (DeliveryDecision & { readonly stream: string | null })[];
}

export type Status = 'closed' | 'connecting' | 'open' | 'waiting' | 'refused';

/** The target of a socket: the route, and how to open it. */
export interface Target {
  readonly route: RouteDescription;
  readonly parameters: Readonly<Record<string, string>>;
  /** The query string, such as `tenant=1&lang=en`. */
  readonly query: string;
  readonly subprotocols: readonly string[];
}

export interface SessionListener {
  status(): void;
  entry(entry: Entry): void;
  /** Subscriptions, groups or the scope have changed. */
  state(): void;
  change(change: SeenChange): void;
  /** The server has restarted: the application may have changed. */
  restarted(): void;
}

const most = 500;
const longestDelay = 5_000;

/** One socket to the application, and the trace in which the server reports what it does with it. */
export class Session {
  status: Status = 'closed';
  /** Why the socket is closed or refused. */
  reason = '';
  entries: Entry[] = [];
  changes: SeenChange[] = [];
  subscriptions: LiveSubscription[] = [];
  /** The server's state of the connection; undefined if it is not known. */
  state: ConnectionState | undefined;
  target: Target | undefined;
  readonly #key = [...crypto.getRandomValues(new Uint8Array(16))]
    .map((one) => one.toString(16).padStart(2, '0'))
    .join('');
  readonly #pending = new Map<string, Pending>();
  #trace: EventSource | undefined;
  #socket: WebSocket | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #number = 0;
  #lastId = 0;
  #refreshing: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly listener: SessionListener) {}

  /** Opens a socket, after the server listens to its key. */
  connect(target: Target): void {
    this.#forget();
    this.target = target;
    this.#failures = 0;
    this.#trace ??= this.#openTrace();
    void this.#open();
  }

  /** Closes the socket for good, until `connect`. */
  disconnect(): void {
    this.#forget();
    this.#note('Disconnected.');
    this.#setStatus('closed', '');
  }

  /** Sends a text unchanged, even if it is no JSON. */
  sendText(text: string): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    const { stream, payload } = this.#unwrap(parse(text));
    const { action, request_id: requestId } = asObject(payload);
    if (typeof action === 'string') {
      this.#pending.set(keyOf(stream, requestId), { action, sentAt: performance.now() });
    }
    this.#socket.send(text);
    this.#add({ kind: 'sent', stream, text, payload, ...factsOf(payload) });
    return true;
  }

  /** A new request id. */
  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  /** The text of a request. */
  frame(stream: string | null, action: string, kwargs: object, requestId: RequestId): string {
    const payload = { action, request_id: requestId, ...kwargs };
    return JSON.stringify(stream === null ? payload : { stream, payload });
  }

  unsubscribe({ stream, requestId }: LiveSubscription): void {
    this.sendText(this.frame(stream, 'unsubscribe', { target: requestId }, this.nextId()));
  }

  subscribeAgain(lost: LiveSubscription): void {
    this.subscriptions = this.subscriptions.filter((one) => one !== lost);
    this.sendText(this.frame(lost.stream, lost.action, lost.kwargs, this.nextId()));
  }

  /** The groups that the server listens to for a subscription. */
  stateOf({ stream, requestId }: LiveSubscription): readonly SubscriptionState[] {
    return (this.state?.streams[stream ?? '']?.subscriptions ?? []).filter((one) => one.requestId === requestId);
  }

  clearEntries(): void {
    this.entries = [];
  }

  clearChanges(): void {
    this.changes = [];
  }

  /** Opens the trace before the socket: the server reports a socket only if it knows the key. */
  async #open(): Promise<void> {
    const { target } = this;
    if (!target) return;
    this.#setStatus(this.#failures > 0 ? 'waiting' : 'connecting', this.reason);
    await traced(this.#trace);
    // Meanwhile the developer may have chosen another target, or none.
    if (this.target !== target || this.#socket || !['connecting', 'waiting'].includes(this.status)) return;
    this.#setStatus('connecting', '');
    const socket = new WebSocket(urlOf(target, this.#key), [...target.subprotocols]);
    this.#socket = socket;
    socket.onopen = () => {
      this.#failures = 0;
      this.#note(`Connected to ${pathOf(target)}.`);
      this.#setStatus('open', '');
      this.#refresh();
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => this.#lost(code, reason);
  }

  #lost(code: number, reason: string): void {
    const wasOpen = this.status === 'open';
    this.#socket = undefined;
    this.#pending.clear();
    this.state = undefined;
    for (const one of this.subscriptions) if (one.state === 'live') one.state = 'lost';
    this.listener.state();
    if (this.status === 'refused') return;
    if (wasOpen) this.#note(`The connection was closed with ${code}${reason && ` (${reason})`}.`);
    // The page does not reopen a socket that the application or a limit closed.
    if (wasOpen && ![1001, 1005, 1006, 1011, 1012, 1013].includes(code)) {
      this.#setStatus('closed', `closed with ${code}${reason && `: ${reason}`}`);
      return;
    }
    this.#failures += 1;
    this.#setStatus('waiting', 'The server does not answer.');
    this.#retry = setTimeout(() => void this.#open(), Math.min(longestDelay, 500 * this.#failures));
  }

  #forget(): void {
    clearTimeout(this.#retry);
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(1000);
    }
    this.#pending.clear();
    this.subscriptions = [];
    this.state = undefined;
    this.listener.state();
  }

  #openTrace(): EventSource {
    const trace = new EventSource(`trace?key=${this.#key}`);
    let isAgain = false;
    trace.onopen = () => {
      if (isAgain) this.listener.restarted();
      isAgain = true;
    };
    const on = <T>(name: string, hear: (data: T) => void): void =>
      trace.addEventListener(name, ({ data }) => hear(JSON.parse(String(data)) as T));
    on<{ status: number; errors: readonly unknown[] }>('refused', ({ status, errors }) => {
      // The server has no room, or stops: that passes.
      if (status === 429 || status >= 500) return;
      const reason = `${status}: ${errors.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))).join(' ')}`;
      clearTimeout(this.#retry);
      this.#note(`The handshake was refused with ${reason}`);
      this.#setStatus('refused', reason);
    });
    on('opened', () => this.#refresh());
    on<PublishedEvent>('published', (event) => this.#changed(event));
    on<DeliveryDecision & { stream: string | null }>('decided', (decision) => this.#decided(decision));
    return trace;
  }

  #receive(data: unknown): void {
    if (typeof data !== 'string') {
      this.#add({ kind: 'frame', stream: null, text: '(binary frame)', payload: null, ...factsOf(null) });
      return;
    }
    const { stream, payload } = this.#unwrap(parse(data));
    const facts = factsOf(payload);
    const key = keyOf(stream, facts.requestId);
    const pending = this.#pending.get(key);
    if (facts.status === null) {
      this.#add({ kind: 'frame', stream, text: data, payload, ...facts });
      return;
    }
    const isReply = pending !== undefined && (facts.status >= 400 || isReplyTo(facts.action, pending));
    const took = isReply ? performance.now() - pending.sentAt : null;
    const kind = kindOf(facts.status, isReply || pending !== undefined);
    if (isReply && facts.status !== 206) this.#pending.delete(key);
    if (kind === 'event') this.#countEvent(stream, facts.requestId);
    if (facts.action === 'revoked') this.#revoke(stream, facts.requestId);
    this.#add({ kind, stream, text: data, payload, ...facts, took });
    if (isReply && facts.status < 300) this.#noteSubscription(stream, pending.action, facts.requestId);
    if (isReply) this.#refresh();
  }

  /** Notes a subscription. Only the server knows which there are, because an action may subscribe to anything. */
  #noteSubscription(stream: string | null, action: string, requestId: RequestId): void {
    if (action === 'unsubscribe') {
      const sent = this.entries.findLast(
        (one) => one.kind === 'sent' && one.requestId === requestId && one.stream === stream,
      );
      const { target } = asObject(sent?.payload);
      this.subscriptions = this.subscriptions.filter((one) => one.requestId !== target || one.stream !== stream);
      this.listener.state();
      return;
    }
    const description = this.target?.route.streams
      .find((one) => one.stream === stream)
      ?.actions.find(({ name, aliases }) => name === action || aliases.includes(action));
    if (!description || description.subscribesTo.length === 0 || requestId === null) return;
    if (this.subscriptions.some((one) => one.requestId === requestId && one.stream === stream)) return;
    const sent = this.entries.findLast(
      (one) => one.kind === 'sent' && one.requestId === requestId && one.stream === stream,
    );
    const { action: _action, request_id: _id, ...kwargs } = asObject(sent?.payload);
    this.subscriptions.push({ stream, requestId, action, kwargs, events: 0, state: 'live' });
    this.listener.state();
  }

  #countEvent(stream: string | null, requestId: RequestId): void {
    for (const one of this.subscriptions) {
      if (one.stream === stream && one.requestId === requestId) one.events += 1;
    }
    this.listener.state();
  }

  #revoke(stream: string | null, requestId: RequestId): void {
    for (const one of this.subscriptions) {
      if (one.stream === stream && one.requestId === requestId) one.state = 'revoked';
    }
    this.#refresh();
  }

  #changed(event: PublishedEvent): void {
    const change: SeenChange = { ...event, number: this.#nextNumber(), at: new Date(), decisions: [] };
    this.changes.push(change);
    if (this.changes.length > most) this.changes.shift();
    this.#refresh();
    this.listener.change(change);
  }

  #decided(decision: DeliveryDecision & { readonly stream: string | null }): void {
    const { observer, commit, pk } = decision;
    const change = this.changes.findLast(
      (one) => one.observer === observer && one.commit === commit && JSON.stringify(one.pk) === JSON.stringify(pk),
    );
    if (change) {
      change.decisions.push(decision);
      this.listener.change(change);
    }
    if (decision.outcome === 'sent' || decision.outcome === 'kept') return;
    const { stream, action, requestId, outcome } = decision;
    const text = `${observer}: ${outcome}`;
    this.#add({ kind: 'withheld', stream, action, requestId, status: null, text, payload: decision });
  }

  /** Asks the server for the connection's state, after a pause. */
  #refresh(): void {
    clearTimeout(this.#refreshing);
    this.#refreshing = setTimeout(async () => {
      const response = await fetch(`connection.json?key=${this.#key}`).catch(() => undefined);
      this.state = response?.ok ? (((await response.json()) as ConnectionState | null) ?? undefined) : undefined;
      this.listener.state();
    }, 80);
  }

  #unwrap(frame: unknown): { readonly stream: string | null; readonly payload: unknown } {
    if (!this.target?.route.isMultiplexed || typeof frame !== 'object' || frame === null || !('payload' in frame)) {
      return { stream: null, payload: frame };
    }
    const { stream, payload } = frame as { stream?: unknown; payload: unknown };
    return { stream: typeof stream === 'string' ? stream : null, payload };
  }

  #note(sentence: string): void {
    const facts = { stream: null, action: null, requestId: null, status: null };
    this.#add({ kind: 'note', text: sentence, payload: null, ...facts });
  }

  #add(entry: Omit<Entry, 'number' | 'at' | 'took'> & { readonly took?: number | null }): void {
    const whole: Entry = { took: null, ...entry, number: this.#nextNumber(), at: new Date() };
    this.entries.push(whole);
    if (this.entries.length > most) this.entries.shift();
    this.listener.entry(whole);
  }

  #nextNumber(): number {
    this.#number += 1;
    return this.#number;
  }

  #setStatus(status: Status, reason: string): void {
    this.status = status;
    this.reason = reason;
    this.listener.status();
  }
}

/** Resolves when the trace is open, or has failed. */
function traced(trace: EventSource | undefined): Promise<void> {
  if (trace?.readyState !== EventSource.CONNECTING) return Promise.resolve();
  return new Promise((resolve) => {
    trace.addEventListener('open', () => resolve(), { once: true });
    trace.addEventListener('error', () => {
      if (trace.readyState === EventSource.CLOSED) resolve();
    });
  });
}

/** The url of the socket, marked so that the server reports it to this page. */
function urlOf(target: Target, key: string): string {
  const protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  const query = [target.query, `signalbox-explorer=${key}`].filter(Boolean).join('&');
  return `${protocol}//${location.host}${pathOf(target)}?${query}`;
}

/** The path of a route with its parameters filled in. */
export function pathOf({ route, parameters }: Pick<Target, 'route' | 'parameters'>): string {
  return route.path.replaceAll(/:([^()/]+)(\([^()]*\))?/g, (_whole, name: string) =>
    encodeURIComponent(parameters[name] ?? ''),
  );
}

/** Whether a frame is a subscription's reply: its first frame is, unless an event has the same request id. */
function isReplyTo(action: string | null, pending: Pending): boolean {
  return action === pending.action || !['create', 'update', 'delete'].includes(action ?? '');
}

function kindOf(status: number, isAnswer: boolean): EntryKind {
  if (status >= 400) return 'error';
  if (status === 206) return 'part';
  return isAnswer ? 'reply' : 'event';
}

function keyOf(stream: string | null, requestId: unknown): string {
  return JSON.stringify([stream, requestId ?? null]);
}

function factsOf(payload: unknown): Pick<Entry, 'action' | 'requestId' | 'status'> {
  const { action, request_id: id, response_status: status } = asObject(payload);
  return {
    action: typeof action === 'string' ? action : null,
    requestId: typeof id === 'string' || typeof id === 'number' ? id : null,
    status: typeof status === 'number' ? status : null,
  };
}

export function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

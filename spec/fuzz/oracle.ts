import type { Played, Whisper } from './application.js';
import { type Kick, type SecretColumns, type World, welcome } from './world.js';

/** A request as its client remembers it. */
export interface Sent {
  readonly id: string;
  readonly stream: string;
  readonly at: number;
  /** Who it may log its connection in as. */
  readonly users: readonly string[];
  /** What its success begins, or ends. */
  readonly subscribes?: { readonly topic?: string } | undefined;
  readonly unsubscribes?: string | undefined;
  /** Who its parts have logged its connection in as. */
  readonly became: string[];
  /** How often it has subscribed; undefined where it does not say. */
  subscriptions: number | undefined;
  /** Who its connection was at some moment of it. */
  readonly served: Set<string>;
  answeredAt: number | undefined;
  isRefused: boolean;
}

interface Subscription {
  readonly stream: string;
  readonly topic: string | undefined;
  readonly confirmedAt: number;
  isEnding: boolean;
  isEnded: boolean;
}

/** What was heard as a user whose login was not answered yet: a fault unless one of these requests succeeds. */
interface Debt {
  readonly what: string;
  readonly logins: Set<Sent>;
}

/** The five keys of a reply or event, as far as they are looked at. */
interface Heard {
  readonly action?: unknown;
  readonly data?: unknown;
  readonly request_id?: unknown;
  readonly response_status?: unknown;
  readonly code?: unknown;
  readonly shouted?: unknown;
}

const eventActions = new Set<unknown>(['create', 'update', 'delete', 'on_whisper']);

/**
 * What one connection may hear. It knows nothing of the framework: it goes by the frames that were sent and those that came.
 *
 * - A connection is its user of the handshake; from the successful reply of a login or logout on it is the next one's.
 * - Between a login and its reply, either user may hear. Where the login fails, it was never the other one's.
 * - A reply shows what the user of some moment between request and reply may see: it answers who asked.
 */
export class Oracle {
  readonly #sent = new Map<string, Sent>();
  readonly #subscriptions = new Map<string, Subscription>();
  /** Ids that were revoked before they were granted: the request that subscribed logged in behind it, or another one did. */
  readonly #revoked = new Set<string>();
  readonly #ever: Set<string>;
  #user: string;
  #debts: readonly Debt[] = [];
  #kick: Kick | undefined;
  /** Answers to frames that were no requests. */
  strays = 0;

  /** @param fault called with what is wrong */
  constructor(
    private readonly world: World,
    user: string,
    private readonly fault: (what: string) => void,
    private readonly count: (what: string) => void,
  ) {
    this.#user = user;
    this.#ever = new Set([user]);
  }

  /** Requests without their final reply. */
  get open(): readonly Sent[] {
    return [...this.#sent.values()].filter(({ answeredAt }) => answeredAt === undefined);
  }

  streamOf(id: string): string | undefined {
    return this.#sent.get(id)?.stream;
  }

  get user(): string {
    return this.#user;
  }

  /** Whether a kick has to end it, or has ended it. */
  get isKicked(): boolean {
    return this.#kick !== undefined;
  }

  note(sent: Sent): void {
    this.#sent.set(sent.id, sent);
    sent.served.add(this.#user);
    for (const user of sent.users) this.#ever.add(user);
    const leaving = this.#leaving(sent);
    if (leaving) leaving.isEnding = true;
  }

  /** @param began a moment of its handshake: a kick behind it finds the handshake, or the connection */
  noteOpened(began: number): void {
    this.#kick = this.world.kicks.find((kick) => kick.user === this.#user && kick.begin > began);
  }

  /** Where no login is under way, the connection of that user has to end, and hears nothing that is committed later. */
  noteKick(kick: Kick): void {
    const isCertain = this.open.every(({ users }) => users.length === 0);
    if (isCertain && this.#user === kick.user) this.#kick = kick;
  }

  /** @param text one frame of the server */
  hear(text: string): void {
    const { stream, payload } = JSON.parse(text) as { stream: string | null; payload: Heard };
    const { action, request_id: id, code } = payload;
    if (payload.shouted !== undefined) this.#hearShout(String(payload.shouted));
    else if (eventActions.has(action)) this.#hearEvent(String(stream), String(id), payload);
    else if (code === 'stream_closed' && id === null) this.#endStream(String(stream));
    else if (action === 'revoked') this.#hearRevocation(String(id));
    else this.#hearReply(payload);
  }

  /** The socket has ended, by the server where there is a code. */
  hearEnd(code: number | undefined): void {
    for (const { what, logins } of this.#debts) if (logins.size === 0) this.fault(what);
    for (const sent of this.open) sent.answeredAt = this.world.moment();
    if (code === undefined) return;
    const isKick = code === 4401 && this.world.kicks.some(({ user }) => this.#ever.has(user));
    if (!isKick) this.fault(`The server closed with ${code}, for which there is no reason.`);
  }

  #hearShout(owner: string): void {
    this.count('message');
    this.#judge(`a message for ${owner}`, (user) => user === owner);
  }

  #hearEvent(stream: string, id: string, { action, data }: Heard): void {
    const subscription = this.#subscriptions.get(id);
    const what = `${String(action)} for request ${id} in ${stream}: ${JSON.stringify(data)}`;
    if (!subscription || subscription.isEnded) {
      this.fault(`An event of a subscription that ${subscription ? 'has ended' : 'was not granted'}: ${what}`);
      return;
    }
    const { topic } = subscription;
    this.count(action === 'on_whisper' ? 'signal' : topic === undefined ? 'event' : 'event of a topic');
    if (action === 'delete') this.#judgeDelete(what, topic, (data as { readonly pk: number }).pk);
    else if (typeof data !== 'object' || data === null) this.fault(`An event shows no row: ${what}`);
    else if (action === 'on_whisper') this.#judgeWhisper(what, data as Whisper);
    else this.#judgeRow(what, stream, topic, data as SecretColumns);
  }

  #judgeWhisper(what: string, { owner, at, isCommitted }: Whisper): void {
    if (isCommitted) this.#judgeKick(what, at);
    this.#judge(what, (user) => user === owner);
  }

  #judgeRow(what: string, stream: string, topic: string | undefined, secret: SecretColumns): void {
    const { owner, at, readers, guests } = secret;
    this.#judgeKick(what, at);
    this.#judge(what, (user) => {
      if (stream === 'club' && !this.world.mayKnow(user, welcome, guests, at)) return false;
      return topic === undefined ? user === owner : this.world.mayKnow(user, topic, readers, at);
    });
  }

  #judgeKick(what: string, at: number): void {
    const end = this.#kick?.end;
    if (end !== undefined && at > end) this.fault(`An event of a commit that came behind the kick: ${what}`);
  }

  /** It shows its key and nothing else, so that the row may have been the user's at any time. */
  #judgeDelete(what: string, topic: string | undefined, pk: number): void {
    if (topic === undefined) this.#judge(what, (user) => this.world.ownersOf.get(pk)?.has(user) ?? false);
    else if (this.world.topicsOf.get(pk)?.has(topic) !== true) this.fault(`An event of another topic: ${what}`);
  }

  /** One frame for each request id, also where several streams or observers had it. */
  #hearRevocation(id: string): void {
    const subscription = this.#subscriptions.get(id);
    this.count('revocation');
    if (subscription?.isEnded) this.fault(`The subscription ${id} was revoked twice.`);
    if (subscription) subscription.isEnded = true;
    else this.#revoked.add(id);
  }

  #endStream(stream: string): void {
    for (const subscription of this.#subscriptions.values())
      if (subscription.stream === stream) subscription.isEnded = true;
  }

  #hearReply(heard: Heard): void {
    const id = heard.request_id;
    const sent = typeof id === 'string' ? this.#sent.get(id) : undefined;
    if (!sent) this.#hearStray(heard);
    else if (sent.answeredAt === undefined) this.#hearAnswer(sent, heard);
    else this.fault(`A reply behind the final one: ${JSON.stringify(heard)}`);
  }

  #hearAnswer(sent: Sent, heard: Heard): void {
    const text = JSON.stringify(heard);
    const status = heard.response_status;
    const isSuccess = Number(status) >= 200 && Number(status) < 300;
    this.count(isSuccess ? 'success' : `status ${String(status)}`);
    if (isPlayed(heard.data)) {
      sent.became.push(...heard.data.became);
      sent.subscriptions = (sent.subscriptions ?? 0) + heard.data.subscriptions;
    }
    if (status !== 206) this.#hearFinal(sent, isSuccess, heard);
    for (const owner of ownersIn(heard.data))
      if (!sent.served.has(owner) && !sent.users.includes(owner))
        this.#judge(`a reply with data of ${owner}: ${text}`, (user) => user === owner);
  }

  #hearStray({ data }: Heard): void {
    this.strays += 1;
    for (const owner of ownersIn(data))
      if (!this.#ever.has(owner)) this.fault(`An answer with data of ${owner}: ${JSON.stringify(data)}`);
  }

  #hearFinal(sent: Sent, isSuccess: boolean, { data }: Heard): void {
    sent.answeredAt = this.world.moment();
    sent.isRefused = !isSuccess;
    if (isSuccess) this.#succeed(sent, data);
    else this.#settleDebts(sent, false);
  }

  #succeed(sent: Sent, data: unknown): void {
    const user = sent.became.at(-1);
    if (user !== undefined) this.#become(sent, user, isPlayed(data) ? data.began : undefined);
    this.#settleDebts(sent, true);
    if (sent.subscribes && sent.subscriptions !== 0) this.#hearGrant(sent, sent.subscribes.topic);
    const left = this.#leaving(sent);
    if (left) left.isEnded = true;
  }

  /** The subscription that a request unsubscribes: one of its own stream. */
  #leaving({ stream, unsubscribes }: Sent): Subscription | undefined {
    const subscription = this.#subscriptions.get(unsubscribes ?? '');
    return subscription?.stream === stream ? subscription : undefined;
  }

  /** A detached request may have been unsubscribed before its reply. */
  #hearGrant({ id, stream }: Sent, topic: string | undefined): void {
    const confirmedAt = this.world.moment();
    const leaving = [...this.#sent.values()].filter((sent) => sent.unsubscribes === id && sent.stream === stream);
    const isEnded = leaving.some(({ answeredAt, isRefused }) => answeredAt !== undefined && !isRefused);
    const isEnding = this.#revoked.has(id) || leaving.length > 0;
    this.#subscriptions.set(id, { stream, topic, confirmedAt, isEnding, isEnded });
  }

  /** @param began the moment at which the code of the login began */
  #become(sent: Sent, user: string, began: number | undefined): void {
    const former = this.#user;
    this.#user = user;
    this.#kick = undefined;
    for (const other of this.open) other.served.add(user);
    if (former !== user) this.#checkEnded(sent);
    // A kick behind that moment finds the login, or the login finds the kick.
    if (began !== undefined) this.#kick = this.world.kicks.find((kick) => kick.user === user && kick.begin > began);
  }

  /** What the former user subscribed to has ended before the reply of the login. */
  #checkEnded(sent: Sent): void {
    for (const [id, { confirmedAt, isEnded, isEnding }] of this.#subscriptions)
      if (confirmedAt < sent.at && !isEnded && !isEnding)
        this.fault(`The subscription ${id} of the former user has outlived the login of request ${sent.id}.`);
  }

  #settleDebts(sent: Sent, isSuccess: boolean): void {
    this.#debts = this.#debts.filter((debt) => {
      if (!debt.logins.delete(sent)) return true;
      if (!isSuccess && debt.logins.size === 0)
        this.fault(`The login of request ${sent.id} failed, and before: ${debt.what}`);
      return !isSuccess && debt.logins.size > 0;
    });
  }

  #judge(what: string, may: (user: string) => boolean): void {
    if (may(this.#user)) return;
    const logins = new Set(this.open.filter(({ users }) => users.some(may)));
    if (logins.size > 0) this.#debts = [...this.#debts, { what, logins }];
    else this.fault(`Heard as ${this.#user}: ${what}`);
  }
}

function isPlayed(data: unknown): data is Played {
  return typeof data === 'object' && data !== null && 'became' in data;
}

/** Whose data a reply has. */
function ownersIn(data: unknown): readonly string[] {
  if (isPlayed(data)) return data.seen;
  const rows = Array.isArray(data) ? data : [data];
  return rows.flatMap((row) => (typeof row === 'object' && row !== null && 'owner' in row ? [String(row.owner)] : []));
}

import { setImmediate as nextTurn } from 'node:timers/promises';
import { until, within } from '../support/deadline.js';
import { DeskConsumer, type FuzzApplication, type Move } from './application.js';
import { FuzzClient, type Message } from './client.js';
import { Random } from './random.js';
import { spoiltFrame, vandalize } from './vandal.js';
import { nobody, owners, people, rightNames, topics, type World } from './world.js';

/** What is wrong, and how to see it again. */
export class Fault extends Error {
  override name = 'Fault';
}

export interface RoundOptions {
  readonly applications: readonly FuzzApplication[];
  readonly world: World;
  readonly seed: number;
  readonly steps: number;
  readonly count: (what: string) => void;
}

const slots = 8;

/** Rows that are written: the last so many. */
const rows = 24;

const kinds = {
  open: 5,
  leave: 1,
  play: 40,
  watch: 7,
  rows: 6,
  unsubscribe: 4,
  cancel: 10,
  spoil: 4,
  vandal: 2,
  write: 14,
  remove: 2,
  right: 9,
  kick: 3,
  recheck: 3,
  shout: 8,
  whisper: 4,
  gates: 6,
};

const pauses = { none: 8, turn: 6, turns: 3, long: 1 };

const streams = { account: 5, desk: 5, club: 3 };

const moveKinds = {
  turns: 20,
  gate: 8,
  abort: 2,
  login: 14,
  logout: 4,
  subscribe: 10,
  group: 6,
  read: 14,
  fail: 7,
};

const lateMoveKinds = { ...moveKinds, gate: 16, group: 12, login: 0, logout: 0 };

const actions = { play: 10, play_detached: 4, play_atomic: 3, play_parts: 2 };

/**
 * Clients, writers and vandals for so many steps, then rest. All choices come from the seed and from nothing else; what is under way at
 * the same time is up to the machine.
 */
export class Round {
  readonly #random: Random;
  readonly #clients: (FuzzClient | undefined)[] = Array.from({ length: slots }, () => undefined);
  /** All of the round. Those that ended are kept for their faults until the next one. */
  readonly #left: FuzzClient[] = [];
  readonly #work: Promise<void>[] = [];
  readonly #ids: number[] = [];
  #fault: Fault | undefined;
  #step = 0;

  constructor(private readonly options: RoundOptions) {
    this.#random = new Random(options.seed);
  }

  /** @throws Fault with the seed, the step and what the connection has sent and heard */
  async play(): Promise<void> {
    const { world, steps } = this.options;
    world.begin();
    await this.#grantSome();
    for (this.#step = 0; this.#step < steps; this.#step += 1) {
      this.#make(this.#random.weighted(kinds));
      await this.#pause();
      this.#check();
    }
    await this.#rest();
    await this.#leave();
    this.#check();
  }

  #check(): void {
    for (const application of this.options.applications)
      for (const error of application.takeErrors()) this.#report(`The log has an error: ${error}`, []);
    if (this.#fault) throw this.#fault;
  }

  #report(what: string, trail: readonly string[]): void {
    const { seed, steps } = this.options;
    const text = [`seed ${seed}, step ${this.#step} of ${steps}: ${what}`, ...trail].join('\n  ');
    this.#fault ??= new Fault(text);
  }

  // Steps

  #make(kind: keyof typeof kinds): void {
    const application = this.#random.pick(this.options.applications);
    const slot = this.#random.below(slots);
    this.options.count(`step ${kind}`);
    this.#steps[kind](application, slot);
  }

  readonly #steps: Readonly<Record<keyof typeof kinds, (application: FuzzApplication, slot: number) => void>> = {
    open: (application, slot) => this.#open(slot, application, this.#random.pick(owners)),
    leave: (_, slot) => this.#quit(slot, this.#random.chance(0.5)),
    play: (application, slot) => {
      const message = this.#script(this.#random.weighted(actions));
      if (this.#clients[slot]) this.#clients[slot].request(message);
      else this.#open(slot, application, nobody);
    },
    watch: (_, slot) => this.#request(slot, this.#watch()),
    rows: (_, slot) => this.#request(slot, this.#rowRequest()),
    unsubscribe: (_, slot) => this.#unsubscribe(slot, this.#random.below(8), this.#random.weighted(streams)),
    cancel: (_, slot) => this.#cancel(slot, this.#random.below(3)),
    spoil: (_, slot) => {
      const text = spoiltFrame(this.#random);
      this.#clients[slot]?.sendSpoilt(text);
    },
    vandal: ({ port }) => this.#begin(vandalize(port, this.#random)),
    write: ({ writer }) =>
      this.#begin(
        writer.write({ id: this.#rowId(), owner: this.#random.pick(owners), topic: this.#random.pick(topics) }),
      ),
    remove: ({ writer }) => this.#begin(writer.remove(this.#rowId())),
    right: (application) => this.#changeRight(application),
    kick: (application) => this.#kick(application, this.#random.pick(people)),
    recheck: ({ app, connections }) => {
      const [topic, user] = [this.#random.pick(topics), this.#random.pick(people)];
      if (this.#random.chance(0.5)) app.recheck(DeskConsumer, 'onTopic', [topic]);
      else this.#begin(connections.recheckUser(user));
    },
    shout: ({ app }) => {
      const owner = this.#random.pick(owners);
      this.#begin(app.sendToGroup(`user-${owner}`, { type: 'shout', owner, turns: this.#random.below(4) }));
    },
    whisper: ({ writer }) => this.#begin(writer.whisper(this.#random.pick(owners), this.#random.chance(0.5))),
    gates: () => this.options.world.openGates(),
  };

  #request(slot: number, message: Message): void {
    this.#clients[slot]?.request(message);
  }

  #open(slot: number, { port }: FuzzApplication, user: string): void {
    if (this.#clients[slot]?.isOpening) return;
    this.#quit(slot, false);
    const name = `${this.#step}-${slot}`;
    const url = `ws://127.0.0.1:${port}/ws/?user=${user}&client=${name}`;
    const { world, count } = this.options;
    const fault = (what: string, trail: readonly string[]): void => this.#report(what, trail);
    this.#clients[slot] = new FuzzClient({ name, url, user, world, fault, count });
  }

  #quit(slot: number, isAbrupt: boolean): void {
    const client = this.#clients[slot];
    if (!client) return;
    client.leave(isAbrupt);
    this.#left.push(client);
    this.#clients[slot] = undefined;
  }

  #script(action: keyof typeof actions): Message {
    const random = this.#random;
    const stream = random.weighted(streams);
    const isAtomic = action === 'play_atomic';
    // Code that logs in itself is to blame where it then goes by the former user.
    const isLate = random.chance(0.4);
    const kinds = Array.from({ length: 1 + random.below(4) }, () =>
      random.weighted(isLate ? lateMoveKinds : moveKinds),
    );
    const moves = kinds.map((kind) => this.#move(kind, { isAtomic, isLate }));
    const subscribes = moves.some((move) => move.do === 'subscribe') ? {} : undefined;
    return {
      stream,
      action,
      kwargs: { moves, isStubborn: random.chance(0.2) },
      users: moves.flatMap((move) => (move.do === 'login' ? [move.user] : move.do === 'logout' ? [nobody] : [])),
      ...(subscribes && { subscribes }),
    };
  }

  #move(kind: keyof typeof moveKinds, { isAtomic, isLate }: { isAtomic: boolean; isLate: boolean }): Move {
    const random = this.#random;
    const isForgotten = random.chance(0.1);
    if (isAtomic && kind === 'gate') return { do: 'write' };
    switch (kind) {
      case 'turns':
        return { do: 'turns', count: 1 + random.below(20) };
      case 'login':
        return { do: 'login', user: random.pick(people), isForgotten };
      case 'subscribe':
        return { do: 'subscribe', to: random.pick(['own', 'whisper'] as const), isForgotten, isLate };
      case 'group':
        return { do: 'group', isLate };
      default:
        return { do: kind };
    }
  }

  #watch(): Message {
    const random = this.#random;
    const topic = random.pick(topics);
    const permission = random.pick(['none', 'none', 'turns', 'gate', 'fail'] as const);
    const kinds = random.pick([[], [], ['turns'], ['fail']] as const);
    const moves = kinds.map((kind) => this.#move(kind, { isAtomic: false, isLate: false }));
    return {
      stream: random.weighted(streams),
      action: 'watch',
      kwargs: { topic, moves, permission },
      subscribes: { topic },
    };
  }

  #rowRequest(): Message {
    const random = this.#random;
    const action = random.pick(['list', 'retrieve', 'subscribe_instance', 'subscribe_instance'] as const);
    const kwargs = action === 'list' ? {} : { pk: this.#rowId() };
    return {
      stream: 'rows',
      action,
      kwargs,
      ...(action === 'subscribe_instance' && { subscribes: {} }),
    };
  }

  #unsubscribe(slot: number, back: number, stream: string): void {
    const client = this.#clients[slot];
    const target = client?.lastIds[back];
    if (target !== undefined)
      client?.request({ stream, action: 'unsubscribe', kwargs: { target }, unsubscribes: target });
  }

  #cancel(slot: number, back: number): void {
    const client = this.#clients[slot];
    const target = client?.lastIds[back];
    const stream = target === undefined ? undefined : client?.oracle.streamOf(target);
    if (stream !== undefined) client?.request({ stream, action: 'cancel', kwargs: { target } });
  }

  #changeRight({ writer }: FuzzApplication): void {
    const random = this.#random;
    const [user, name] = [random.pick(people), random.pick(rightNames)];
    this.#begin(random.chance(0.5) ? writer.grant(user, name) : writer.revoke(user, name));
  }

  #kick({ app }: FuzzApplication, user: string): void {
    const kick = this.options.world.kicking(user);
    for (const client of this.#clients) client?.noteKick(kick);
    const kicked = app.disconnectUser(user).then(() => {
      kick.end = this.options.world.moment();
    });
    this.#begin(kicked);
  }

  #rowId(): number {
    const random = this.#random;
    const [isNew, back] = [random.chance(0.3), random.below(rows)];
    const known = this.#ids.at(-1 - back);
    if (known !== undefined && !isNew) return known;
    const id = this.options.world.newId();
    this.#ids.push(id);
    return id;
  }

  /** What runs beside the next steps. */
  #begin(work: Promise<void>): void {
    this.#work.push(work.catch((error: unknown) => this.#noteFailure(error)));
  }

  #noteFailure(error: unknown): void {
    const { name, stack } = error as Error;
    // Two writers made one row.
    if (name !== 'UniqueConstraintViolationException') this.#report(`A writer or a vandal failed: ${stack}`, []);
  }

  async #pause(): Promise<void> {
    const kind = this.#random.weighted(pauses);
    const count = this.#random.below(8);
    if (kind === 'none') return;
    for (const client of this.#clients) client?.flush();
    const turns = { turn: 1, turns: 1 + count, long: 40 }[kind];
    for (let turn = 0; turn < turns; turn += 1) await nextTurn();
  }

  async #grantSome(): Promise<void> {
    const { writer } = this.#first;
    await writer.reset();
    for (const user of people)
      for (const name of rightNames) if (this.#random.chance(0.6)) await writer.grant(user, name);
  }

  get #first(): FuzzApplication {
    const [first] = this.options.applications;
    if (!first) throw new Error('There is no application.');
    return first;
  }

  // The end

  /** All that is under way ends; then whatever is written is heard by whom it is for. */
  async #rest(): Promise<void> {
    const { applications, world } = this.options;
    world.removeGates();
    for (const client of this.#clients) client?.flush();
    await this.#settle('the steps');
    for (const client of this.#present) {
      client.request({ stream: 'account', action: 'play', kwargs: { moves: [] } });
      this.options.count(`at rest as ${client.oracle.user}`);
    }
    const { writer, app } = this.#first;
    for (const owner of owners) {
      for (const topic of topics) this.#begin(writer.write({ id: this.#rowId(), owner, topic }));
      this.#begin(app.sendToGroup(`user-${owner}`, { type: 'shout', owner, turns: 0 }));
      this.#begin(writer.whisper(owner, true));
    }
    await Promise.all(this.#work.splice(0));
    await Promise.all(applications.map((application) => application.app.idle()));
    await this.#settle('the rest');
    for (const client of this.#present) {
      const { oracle, spoilt } = client;
      if (oracle.isKicked) await this.#waitFor(client, client.closed, 'A client that was kicked is not closed');
      else
        await this.#waitFor(
          client,
          client.until(() => oracle.strays >= spoilt),
          'A spoilt frame has no answer',
        );
      if (client.isOpen && oracle.strays !== spoilt)
        this.#report(`${oracle.strays} answers to ${spoilt} spoilt frames.`, client.trail);
    }
  }

  get #present(): readonly FuzzClient[] {
    return this.#clients.filter((client) => client !== undefined);
  }

  /** Every request has its reply, or its connection has ended. */
  async #settle(what: string): Promise<void> {
    await Promise.all(this.#work.splice(0));
    for (const client of this.#present) {
      client.flush();
      const answered = client.until(() => !client.isOpening && client.oracle.open.length === 0);
      await this.#waitFor(client, answered, `Behind ${what}, a request has no reply`);
    }
  }

  async #waitFor(client: FuzzClient, done: Promise<void>, what: string): Promise<void> {
    const open = (): string => client.oracle.open.map(({ id }) => id).join(', ');
    await within(done, what).catch(() => this.#report(`${what}: ${open()}`, client.trail));
    this.#check();
  }

  async #leave(): Promise<void> {
    const { applications } = this.options;
    for (let slot = 0; slot < slots; slot += 1) this.#quit(slot, this.#random.chance(0.5));
    await within(Promise.all(this.#left.map(({ closed }) => closed)), 'The end of all sockets');
    const remains = async (): Promise<readonly string[]> =>
      (await Promise.all(applications.map((application) => application.remains()))).flat();
    await until(async () => (await remains()).length === 0, 'The end of what connections leave').catch(async () =>
      this.#report(`Connections have left behind: ${(await remains()).join(', ')}`, []),
    );
  }
}
